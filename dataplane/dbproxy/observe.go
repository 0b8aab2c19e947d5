package dbproxy

import (
	"strings"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// observe follows what a request that went well has changed in its session, as
// far as the proxy must know: the default database, and how text is to be read.
func (s *Session) observe(reply *wire.Reply) {
	s.logAnswer(reply)
	if s.status.Has(wire.StatusNoBackslashEscapes) {
		s.mode |= sqlclass.NoBackslashEscapes
	} else {
		s.mode &^= sqlclass.NoBackslashEscapes
	}
	r := &s.request
	switch {
	case reply.Failed():
	case reply.Command() == wire.ComInitDB && len(r.Packet) > 1:
		s.setDatabase(string(r.Packet[1:]))
	case reply.Command() == wire.ComQuery && r.classified:
		s.observeText(r)
	}
}

func (s *Session) observeText(r *Request) {
	const settings = sqlclass.FlagSetsSQLMode | sqlclass.FlagSetsCharset
	class := &r.class
	switch {
	case class.Flags&(sqlclass.FlagMulti|sqlclass.FlagInvalid) != 0 && class.Flags&settings != 0:
		s.mode |= sqlclass.UnknownSQLMode | sqlclass.UnsafeCharset
	case class.Op == sqlclass.OpChangeDB:
		s.setDatabase(string(class.Name.Value(r.Packet[1:], s.mode)))
	case class.Flags&settings != 0:
		s.observeSettings(r)
	}
}

// observeSettings reads new values of sql_mode and of the character set. What
// is not a literal is not known.
func (s *Session) observeSettings(r *Request) {
	text, mode := r.Packet[1:], s.mode
	for _, a := range sqlclass.AppendAssignments(nil, text, s.mode) {
		if a.User || a.Scope == sqlclass.ScopeGlobal {
			continue
		}
		value := strings.Trim(string(a.Value.Value(text, s.mode)), " \t\r\n")
		switch strings.ToLower(string(a.Name.Value(text, s.mode))) {
		case "sql_mode":
			mode = SQLMode(mode, value)
		case "names", "charset", "character set", "character_set_client":
			mode = charsetMode(mode, value)
		}
	}
	s.mode = mode
}

const sqlModes = sqlclass.ANSIQuotes | sqlclass.NoBackslashEscapes | sqlclass.IgnoreSpace | sqlclass.Oracle | sqlclass.UnknownSQLMode

// SQLMode is a mode with the part of it that a value of sql_mode means.
func SQLMode(mode sqlclass.Mode, value string) sqlclass.Mode {
	mode &^= sqlModes
	for word := range strings.SplitSeq(strings.ToUpper(value), ",") {
		switch strings.TrimSpace(word) {
		case "ANSI_QUOTES":
			mode |= sqlclass.ANSIQuotes
		case "NO_BACKSLASH_ESCAPES":
			mode |= sqlclass.NoBackslashEscapes
		case "IGNORE_SPACE":
			mode |= sqlclass.IgnoreSpace
		case "ANSI", "DB2", "MAXDB", "MSSQL", "POSTGRESQL":
			mode |= sqlclass.ANSIQuotes | sqlclass.IgnoreSpace
		case "ORACLE":
			mode |= sqlclass.ANSIQuotes | sqlclass.IgnoreSpace | sqlclass.Oracle
		default:
			if !plainWord(word) {
				mode |= sqlclass.UnknownSQLMode // an expression
			}
		}
	}
	return mode
}

// plainWord tells whether a word can be the name of a mode.
func plainWord(word string) bool {
	for _, c := range strings.TrimSpace(word) {
		if c != '_' && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// charsetMode is a mode with what a character set of the client means for it.
func charsetMode(mode sqlclass.Mode, name string) sqlclass.Mode {
	mode &^= sqlclass.OtherCharset | sqlclass.UnsafeCharset
	switch strings.ToLower(name) {
	case "utf8", "utf8mb3", "utf8mb4", "default":
	case "latin1", "latin2", "latin5", "latin7", "ascii", "binary", "cp1250", "cp1251", "cp1256", "cp1257", "koi8r", "koi8u", "greek", "hebrew", "cp850", "cp852", "cp866":
		mode |= sqlclass.OtherCharset
	default:
		mode |= sqlclass.UnsafeCharset
	}
	return mode
}

func (s *Session) setDatabase(name string) {
	s.database = name
	s.diag.mu.Lock()
	s.diag.db = name
	s.diag.mu.Unlock()
}

// remember keeps a statement for who looks at the session (retain_last_statements),
// and tells when the request began.
func (s *Session) remember(r *Request) time.Time {
	begun := s.client.Now()
	if begun.Before(s.moment) {
		begun = s.moment // it was there already when the last answer was given
	}
	s.moment, s.working = begun, true
	s.detailed = s.Logs(LevelDetail)
	s.logRequest(r)
	keep := s.config.retain
	if keep <= 0 || r.Command == wire.ComQuit {
		return begun
	}
	text, ok := r.SQL()
	if !ok {
		text = []byte(r.Command.String())
	}
	const longest = 4 << 10
	st := Statement{Text: string(text[:min(len(text), longest)]), Received: begun}
	s.diag.mu.Lock()
	defer s.diag.mu.Unlock()
	if len(s.diag.statements) >= keep {
		s.diag.statements = s.diag.statements[:keep-1]
	}
	s.diag.statements = append([]Statement{st}, s.diag.statements...)
	return begun
}

// completed notes the end of a request.
func (s *Session) completed(begun time.Time) {
	end := s.now()
	s.moment, s.working = end, false
	if s.last != nil {
		s.last.used, s.last = end, nil
	}
	s.service.latency.observe(s.Place(), end.Sub(begun))
	if s.config.retain > 0 {
		s.diag.mu.Lock()
		defer s.diag.mu.Unlock()
		if len(s.diag.statements) > 0 {
			s.diag.statements[0].Completed = end
		}
	}
}

package firewall

import (
	"bytes"
	"fmt"
	"net/netip"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// handler is the firewall of one session.
type handler struct {
	firewall *firewall
	session  *dbproxy.Session
	next     dbproxy.Handler

	set   *ruleset
	user  string
	users []*users // those of the set that are for the user
}

// Close implements dbproxy.Handler.
func (h *handler) Close() {}

// Handle implements dbproxy.Handler.
func (h *handler) Handle(r *dbproxy.Request, to dbproxy.Answer) error {
	h.choose()
	if reason, refused := h.judge(r); refused {
		return dbproxy.Refuse(r, to, h.denial(reason))
	}
	return h.next.Handle(r, to)
}

// choose finds what is for the user, once for each set of rules and user.
func (h *handler) choose() {
	set, user := h.firewall.rules.Load(), h.session.User()
	if set == h.set && user == h.user {
		return
	}
	h.set, h.user, h.users = set, user, set.of(user, h.session.Remote())
}

// of are the lines that are for a client.
func (s *ruleset) of(user string, remote netip.AddrPort) (out []*users) {
	for i := range s.users {
		for _, c := range s.users[i].clients {
			if c.Matches(user, remote) {
				out = append(out, &s.users[i])
				break
			}
		}
	}
	return out
}

func (h *handler) host() string {
	if !h.session.Remote().IsValid() {
		return "localhost"
	}
	return h.session.Remote().Addr().Unmap().String()
}

// denial is what the client is told.
func (h *handler) denial(reason string) *wire.ServerError {
	text := fmt.Sprintf("Access denied for user '%s'@'%s'", h.user, h.host())
	if db := h.session.Database(); db != "" {
		text += fmt.Sprintf(" to database '%s'", db)
	}
	if reason != "" {
		text += ": " + reason
	}
	return &wire.ServerError{Code: wire.ErrCodeNonexistingGrant, State: wire.StateGeneral, Message: text}
}

// judge tells whether a request is refused, and why.
func (h *handler) judge(r *dbproxy.Request) (reason string, refused bool) {
	allow := h.firewall.action == actionAllow
	switch r.Command {
	case wire.ComQuery, wire.ComStmtPrepare:
		sql, ok := r.SQL()
		if !ok {
			return "The statement is too long to be read", h.doubtful()
		}
		return h.text(sql, 0)
	case wire.ComInitDB:
		if !allow {
			return h.command("USE ", r)
		}
	case wire.ComCreateDB:
		return h.command("CREATE DATABASE ", r)
	case wire.ComDropDB:
		return h.command("DROP DATABASE ", r)
	case wire.ComRefresh, wire.ComShutdown, wire.ComDebug, wire.ComBinlogDump, wire.ComBinlogDumpGTID, wire.ComTableDump, wire.ComRegisterSlave:
		return "", allow
	}
	return "", false
}

// doubtful tells whether what cannot be read is refused.
func (h *handler) doubtful() bool {
	return h.firewall.action == actionAllow || h.firewall.action == actionBlock && h.firewall.strict
}

// command judges a command as the statement that does the same.
func (h *handler) command(words string, r *dbproxy.Request) (string, bool) {
	if r.Streamed() {
		return "The command is too long to be read", h.doubtful()
	}
	sql := append([]byte(words), '`')
	sql = append(sql, bytes.ReplaceAll(r.Packet[1:], []byte("`"), []byte("``"))...)
	return h.text(append(sql, '`'), 0)
}

// maxDepth is how deep statements prepared within statements are looked at.
const maxDepth = 4

const (
	unread = "The statement could not be parsed"
	many   = "Several statements in one are not supported"
)

// text judges a text.
func (h *handler) text(sql []byte, depth int) (reason string, refused bool) {
	mode := h.session.Mode()
	class := sqlclass.Classify(sql, mode)
	if class.Has(sqlclass.FlagInvalid) && h.doubtful() {
		return unread, true
	}
	if !class.Has(sqlclass.FlagMulti) {
		return h.statement(sql, depth)
	}
	if h.firewall.strict && h.firewall.action != actionIgnore {
		return many, true
	}
	for one := range sqlclass.Statements(sql, mode) {
		if reason, refused = h.statement(one, depth); refused {
			return reason, true
		}
	}
	return "", false
}

// statement judges a single statement, and the one that it prepares.
func (h *handler) statement(sql []byte, depth int) (reason string, refused bool) {
	f, mode := h.firewall, h.session.Mode()
	st := statement{
		sql: sql, details: sqlclass.Describe(sql, mode), client: h.user + "@" + h.host(), now: f.now(),
		doubt: f.action != actionAllow, stringArgs: f.stringArgs && f.action != actionAllow,
	}
	class := &st.details.Class
	if (!class.Parsed() || class.Has(sqlclass.FlagConditional)) && h.doubtful() {
		return unread, true
	}
	if f.strings && f.action != actionAllow && mode&sqlclass.ANSIQuotes == 0 && bytes.IndexByte(sql, '"') >= 0 {
		st.details.Fields = append(st.details.Fields, sqlclass.Describe(sql, mode|sqlclass.ANSIQuotes).Fields...)
	}
	r, reason := h.set.match(h.users, &st)
	h.report(r, sql)
	switch f.action {
	case actionBlock:
		if r != nil {
			return reason, true
		}
	case actionAllow:
		if r == nil {
			return "", true
		}
	}
	if class.Op == sqlclass.OpPrepare || class.Op == sqlclass.OpExecuteImmediate {
		if class.Text.Empty() || depth == maxDepth {
			return "The text of a prepared statement is not known", h.doubtful()
		}
		return h.text(class.Text.Value(sql, mode), depth+1)
	}
	return "", false
}

// report logs what matched and what did not.
func (h *handler) report(r *rule, sql []byte) {
	f := h.firewall
	switch {
	case r != nil && f.logMatch:
		f.log.Info("A statement matches a rule", "rule", r.name, "user", h.user, "host", h.host(), "statement", string(sql))
	case r == nil && f.logNoMatch:
		f.log.Info("A statement matches no rule", "user", h.user, "host", h.host(), "statement", string(sql))
	}
}

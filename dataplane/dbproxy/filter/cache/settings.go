package cache

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// settings are what a session has set: for the cache by user variables
// ("Cache", section Runtime Configuration), and for the server, whose answers
// depend on it.
type settings struct {
	populate, use bool
	soft, hard    time.Duration

	variables map[string]string // system variables, by name
	text      string            // all of them, in order
	// private is not 0 when what is set is not known, so that results are for
	// nobody else, and other ones than before: unknown gives a new number.
	private uint64
	unknown func() uint64
}

const prefix = "maxscale.cache."

// assign reads the assignments of a statement. What a variable for the cache
// cannot be set to is an error, and then nothing is set.
func (s *settings) assign(sql []byte, class *sqlclass.Class, mode sqlclass.Mode) *wire.ServerError {
	next := *s
	next.variables = maps.Clone(s.variables)
	unclear := class.Has(sqlclass.FlagInvalid | sqlclass.FlagConditional)
	lost, some := class.Has(sqlclass.FlagInvalid), false
	for _, a := range sqlclass.AppendAssignments(nil, sql, mode) {
		some, lost = true, lost || unclear && !a.User
		name := strings.ToLower(string(a.Name.Value(sql, mode)))
		switch {
		case a.User:
			if err := next.own(name, string(a.Value.Value(sql, mode))); err != nil {
				return err
			}
		case a.Scope != sqlclass.ScopeGlobal:
			next.system(name, string(a.Value.Raw(sql)))
		}
	}
	if lost || class.Op == sqlclass.OpSet && !some {
		next.private = s.unknown()
	}
	*s = next
	return nil
}

// own sets a variable for the cache.
func (s *settings) own(name, value string) *wire.ServerError {
	name = strings.Trim(strings.TrimPrefix(name, "@"), "`'\"")
	short, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return nil
	}
	wrong := &wire.ServerError{Code: 1231, State: wire.StateSyntaxOrAccess, Message: fmt.Sprintf("Variable '@%s' can't be set to the value of '%s'", name, value)}
	value = strings.ToLower(strings.TrimSpace(value))
	switch short {
	case "populate", "use":
		on := value == "true" || value == "on" || value == "1"
		if !on && value != "false" && value != "off" && value != "0" {
			return wrong
		}
		if short == "use" {
			s.use = on
		} else {
			s.populate = on
		}
	case "soft_ttl", "hard_ttl":
		seconds, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			return wrong
		}
		if short == "soft_ttl" {
			s.soft = time.Duration(seconds) * time.Second
		} else {
			s.hard = time.Duration(seconds) * time.Second
		}
	default:
		wrong.Code, wrong.State, wrong.Message = 1193, "HY000", fmt.Sprintf("Unknown variable '@%s'", name)
		return wrong
	}
	return nil
}

// system notes a system variable of the session. A value that is no literal may
// be anything.
func (s *settings) system(name, value string) {
	switch name {
	case "autocommit", "transaction", "tx_isolation", "transaction_isolation", "tx_read_only", "transaction_read_only":
		return // the status tells
	}
	if strings.ContainsAny(value, "@(") || len(value) > maxValue || len(s.variables) > maxVariables {
		s.private = s.unknown()
		return
	}
	if s.variables == nil {
		s.variables = map[string]string{}
	}
	s.variables[name] = strings.TrimSpace(value)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.variables)) {
		fmt.Fprintf(&b, "%s=%s\x00", name, s.variables[name])
	}
	s.text = b.String()
}

const (
	maxValue     = 1024
	maxVariables = 256
)

package firewall

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/filter"
	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
)

// kind is what a rule looks for, by the name in the file.
type kind string

const (
	kindWildcard     kind = "wildcard"
	kindColumns      kind = "columns"
	kindFunction     kind = "function"
	kindNotFunction  kind = "not_function"
	kindUsesFunction kind = "uses_function"
	kindRegex        kind = "regex"
	kindLimit        kind = "limit_queries"
	kindNoWhere      kind = "no_where_clause"
)

// rule is one of a file.
type rule struct {
	name               string
	kind               kind
	columns, functions []string
	regex              *filter.Regexp
	limit              *limit
	times              []span
	queries            map[string]bool // nil for all

	matched atomic.Int64
}

// operations are the kinds of statements that a rule can be limited to.
var operations = []string{"select", "insert", "update", "delete", "grant", "revoke", "drop", "create", "alter", "use", "load"}

// operation is which of them a statement is, "" for none.
func operation(op sqlclass.Op) string {
	switch op {
	case sqlclass.OpSelect:
		return "select"
	case sqlclass.OpInsert, sqlclass.OpReplace:
		return "insert"
	case sqlclass.OpUpdate:
		return "update"
	case sqlclass.OpDelete:
		return "delete"
	case sqlclass.OpGrant:
		return "grant"
	case sqlclass.OpRevoke:
		return "revoke"
	case sqlclass.OpDrop, sqlclass.OpDropTable:
		return "drop"
	case sqlclass.OpCreate, sqlclass.OpCreateDatabase, sqlclass.OpCreateIndex, sqlclass.OpCreateRole, sqlclass.OpCreateRoutine,
		sqlclass.OpCreateSequence, sqlclass.OpCreateTable, sqlclass.OpCreateUser, sqlclass.OpCreateView:
		return "create"
	case sqlclass.OpAlter, sqlclass.OpAlterTable:
		return "alter"
	case sqlclass.OpChangeDB:
		return "use"
	case sqlclass.OpLoad, sqlclass.OpLoadLocal:
		return "load"
	}
	return ""
}

// statement is what rules look at.
type statement struct {
	sql     []byte
	details sqlclass.Details
	client  string // user@host
	now     time.Time
	// doubt takes what cannot be told for a match: what matches is refused.
	doubt      bool
	stringArgs bool // strings in functions may be names of columns
}

// active tells whether a rule is for such statements at such a time.
func (r *rule) active(s *statement) bool {
	if r.queries != nil && !r.queries[operation(s.details.Class.Op)] {
		return false
	}
	if r.times == nil {
		return true
	}
	second := secondOf(s.now)
	return slices.ContainsFunc(r.times, func(t span) bool {
		if t.from <= t.to {
			return t.from <= second && second <= t.to
		}
		return second >= t.from || second <= t.to
	})
}

// match tells whether a statement is what the rule looks for, and why.
func (r *rule) match(s *statement) (reason string, ok bool) {
	if !r.active(s) {
		return "", false
	}
	if reason, ok = r.look(s); ok {
		r.matched.Add(1)
	}
	return reason, ok
}

func (r *rule) look(s *statement) (string, bool) {
	switch r.kind {
	case kindWildcard:
		for _, f := range s.details.Fields {
			if f.Column == "*" {
				return "Usage of wildcard denied", true
			}
		}
	case kindColumns:
		for _, f := range s.details.Fields {
			if has(r.columns, f.Column) {
				return fmt.Sprintf("Permission denied to column '%s'", f.Column), true
			}
		}
	case kindFunction, kindNotFunction, kindUsesFunction:
		return r.lookAtFunctions(s)
	case kindRegex:
		if found, err := r.regex.Match(s.sql); found || err != nil && s.doubt {
			return "Permission denied, query matched regular expression", true
		}
	case kindLimit:
		if r.limit.exceeded(s.client, s.now) {
			return fmt.Sprintf("Queries denied for %d seconds", int(r.limit.hold/time.Second)), true
		}
	case kindNoWhere:
		if !s.details.HasWhere {
			return "Required WHERE clause is missing", true
		}
	}
	return "", false
}

func (r *rule) lookAtFunctions(s *statement) (string, bool) {
	for i := range s.details.Functions {
		f := &s.details.Functions[i]
		switch r.kind {
		case kindFunction:
			if !has(r.functions, f.Name) {
				continue
			}
		case kindNotFunction:
			if has(r.functions, f.Name) {
				continue
			}
		}
		if r.columns == nil {
			return fmt.Sprintf("Permission denied to function '%s'", f.Name), true
		}
		if column, ok := r.argument(s, f); ok {
			return fmt.Sprintf("Permission denied to column '%s' with function '%s'", column, f.Name), true
		}
	}
	return "", false
}

// maxArguments is as many as are told of a function.
const maxArguments = 256

// argument is the column of the rule that a function is used with.
func (r *rule) argument(s *statement, f *sqlclass.Function) (string, bool) {
	for _, a := range f.Arguments {
		if has(r.columns, a.Column) {
			return a.Column, true
		}
	}
	for _, text := range f.Strings {
		if s.stringArgs && has(r.columns, text) {
			return text, true
		}
	}
	return "", s.doubt && (len(f.Arguments) >= maxArguments || len(f.Strings) >= maxArguments)
}

func has(list []string, name string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, name) })
}

// match tells whether the rules for a client match a statement: the rule that
// did so, or the last of them, and why. Rules of several lines are tried one
// line after another.
func (s *ruleset) match(of []*users, st *statement) (*rule, string) {
	for _, u := range of {
		if r, reason := u.match(st); r != nil {
			return r, reason
		}
	}
	return nil, ""
}

func (u *users) match(st *statement) (last *rule, why string) {
	matched := true
	for _, r := range u.rules {
		reason, ok := r.match(st)
		switch {
		case ok && u.mode == matchAny:
			return r, reason
		case ok:
			last, why = r, reason
		case u.mode == matchStrictAll:
			return nil, ""
		default: // all rules are tried, as some of them count
			matched = false
		}
	}
	if !matched {
		return nil, ""
	}
	return last, why
}

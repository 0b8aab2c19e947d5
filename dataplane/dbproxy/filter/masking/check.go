package masking

import (
	"fmt"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// checks are what statements are refused for.
type checks struct{ functions, parsed, strings, variables, unions, subqueries bool }

func (c checks) any() bool { return c.functions || c.variables || c.unions || c.subqueries }

// refusal is what a request is refused with, nil if it is not.
func (h *handler) refusal(r *dbproxy.Request) *wire.ServerError {
	if len(h.rules) == 0 || !h.filter.checks.any() || r.Command != wire.ComQuery && r.Command != wire.ComStmtPrepare {
		return nil
	}
	c := checker{checks: h.filter.checks, rules: h.rules, database: h.session.Database(), mode: h.session.Mode()}
	sql, ok := r.SQL()
	reason := ""
	if ok {
		reason = c.text(sql, 0)
	} else if c.parsed {
		reason = "The statement is too long to be read"
	}
	if reason == "" {
		return nil
	}
	return &wire.ServerError{Code: wire.ErrCodeNonexistingGrant, State: wire.StateGeneral,
		Message: fmt.Sprintf("%s, access is denied for '%s'@'%s'", reason, h.user, host(h.session))}
}

func host(s *dbproxy.Session) string {
	if !s.Remote().IsValid() {
		return "localhost"
	}
	return s.Remote().Addr().Unmap().String()
}

// checker looks for ways around the mask in a text.
type checker struct {
	checks
	rules    rules
	database string
	mode     sqlclass.Mode

	sql     []byte
	details sqlclass.Details
}

const unread = "The statement is not understood, so that masking cannot be made sure of"

// maxDepth is how deep statements prepared within statements are looked at.
const maxDepth = 4

// text returns why a text is refused, "" if it is not.
func (c checker) text(sql []byte, depth int) string {
	c.sql, c.details = sql, sqlclass.Describe(sql, c.mode)
	if reason := c.statements(depth); reason != "" {
		return reason
	}
	for _, check := range []func() string{c.checkFunctions, c.checkVariables, c.checkUnions, c.checkSubqueries} {
		if reason := check(); reason != "" {
			return reason
		}
	}
	return ""
}

// statements looks at each statement of the text: whether it is understood, and
// at the statement that it prepares.
func (c *checker) statements(depth int) string {
	if c.parsed && c.details.Class.Has(sqlclass.FlagInvalid) {
		return unread
	}
	for sql := range sqlclass.Statements(c.sql, c.mode) {
		class := sqlclass.Classify(sql, c.mode)
		if c.parsed && !class.Parsed() {
			return unread
		}
		if class.Op != sqlclass.OpPrepare && class.Op != sqlclass.OpExecuteImmediate {
			continue
		}
		if class.Text.Empty() || depth == maxDepth {
			if c.parsed {
				return "The text of a prepared statement is not known"
			}
			continue
		}
		if reason := (checker{checks: c.checks, rules: c.rules, database: c.database, mode: c.mode}).text(class.Text.Value(sql, c.mode), depth+1); reason != "" {
			return reason
		}
	}
	return ""
}

// operator tells whether a function is written as one.
func operator(name string) bool {
	return name == "" || !(name[0] == '_' || name[0] >= 'a' && name[0] <= 'z' || name[0] >= 0x80)
}

// maxArguments is as many as are told of a function.
const maxArguments = 256

func (c *checker) checkFunctions() string {
	if !c.functions {
		return ""
	}
	for i := range c.details.Functions {
		f := &c.details.Functions[i]
		if operator(f.Name) {
			continue
		}
		if len(f.Arguments) >= maxArguments || len(f.Strings) >= maxArguments {
			return fmt.Sprintf("The function %s has too many arguments", f.Name)
		}
		for _, a := range f.Arguments {
			if c.hits(a) {
				return fmt.Sprintf("The function %s is used with a column that is masked", f.Name)
			}
		}
		for _, text := range f.Strings {
			if c.strings && c.hits(sqlclass.Field{Column: text}) {
				return fmt.Sprintf("The function %s is used with a string that is the name of a masked column", f.Name)
			}
		}
	}
	for _, f := range c.details.Fields {
		if f.Part && c.hits(f) {
			return fmt.Sprintf("An expression is made of the column %s, which is masked", f.Column)
		}
	}
	return ""
}

func (c *checker) checkVariables() string {
	if !c.variables {
		return ""
	}
	var assigned bool
	for _, a := range sqlclass.AppendAssignments(nil, c.sql, c.mode) {
		assigned = assigned || a.User
	}
	if !assigned {
		return ""
	}
	for _, f := range c.details.Fields {
		if c.hits(f) {
			return fmt.Sprintf("A user variable is set by a statement with the column %s, which is masked", f.Column)
		}
	}
	return ""
}

// checkUnions looks also at the first SELECT, whose names are those of the
// result: another name would hide what is to be masked.
func (c *checker) checkUnions() string {
	if !c.unions {
		return ""
	}
	union := false
	for _, f := range c.details.Fields {
		union = union || f.Union
		if f.Union && f.Clause == sqlclass.ClauseSelect && c.hits(f) {
			return fmt.Sprintf("A union has the column %s in a later SELECT, which is masked", f.Column)
		}
	}
	union = union || c.details.Class.Has(sqlclass.FlagUnion)
	for _, f := range c.details.Fields {
		if union && f.Renamed && c.hits(f) {
			return fmt.Sprintf("A union gives another name to the column %s, which is masked", f.Column)
		}
	}
	return ""
}

func (c *checker) checkSubqueries() string {
	if !c.subqueries {
		return ""
	}
	for _, f := range c.details.Fields {
		if f.Nested && f.Clause == sqlclass.ClauseSelect && c.hits(f) {
			return fmt.Sprintf("A subquery selects the column %s, which is masked", f.Column)
		}
	}
	return ""
}

// hits tells whether a column is, or * holds, one that is masked.
func (c *checker) hits(f sqlclass.Field) bool {
	for _, r := range c.rules {
		if (f.Column == "*" || same(r.column, []byte(f.Column))) && c.mayBe(r) {
			return true
		}
	}
	return false
}

// mayBe tells whether the table of a rule may be meant by the statement. A
// rule for a table is not for other tables, unless it cannot be told which
// tables there are.
func (c *checker) mayBe(r *rule) bool {
	if r.table == "" && r.database == "" || len(c.details.Tables) == 0 {
		return true
	}
	for _, t := range c.details.Tables {
		database := c.database
		if !t.Database.Empty() {
			database = string(t.Database.Value(c.sql, c.mode))
		}
		if (r.table == "" || same(r.table, t.Name.Value(c.sql, c.mode))) && (r.database == "" || database == "" || same(r.database, []byte(database))) {
			return true
		}
	}
	return false
}

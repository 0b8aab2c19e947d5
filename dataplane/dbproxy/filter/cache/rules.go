package cache

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/backplane/backplane/dataplane/dbproxy/filter"
	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
)

// ruleset says of which statements results are kept, and who gets them; nil
// for all.
type ruleset struct{ store, use []condition }

// condition is one comparison.
type condition struct {
	attribute string
	not       bool
	value     string
	parts     []string // of a name
	regex     *filter.Regexp
	client    filter.Client
}

type rulesObject struct {
	Store *[]conditionObject `json:"store"`
	Use   *[]conditionObject `json:"use"`
}

type conditionObject struct {
	Attribute string `json:"attribute"`
	Op        string `json:"op"`
	Value     string `json:"value"`
}

// parseRules reads a file of rules ("Cache", section Rules): an object, or a
// list of them.
func parseRules(text []byte) ([]ruleset, error) {
	objects := []rulesObject{{}}
	var err error
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("[")) {
		objects = nil
		err = filter.DecodeRules(text, &objects)
	} else {
		err = filter.DecodeRules(text, &objects[0])
	}
	if err != nil {
		return nil, err
	}
	var sets []ruleset
	for i, o := range objects {
		var set ruleset
		if set.store, err = conditions(o.Store, "database", "table", "column", "query"); err == nil {
			set.use, err = conditions(o.Use, "user")
		}
		if err != nil {
			return nil, fmt.Errorf("has a fault in object %d: %w", i+1, err)
		}
		sets = append(sets, set)
	}
	return sets, nil
}

func conditions(objects *[]conditionObject, attributes ...string) ([]condition, error) {
	if objects == nil {
		return nil, nil
	}
	list := []condition{}
	for _, o := range *objects {
		if !slices.Contains(attributes, o.Attribute) {
			return nil, fmt.Errorf("attribute must be one of %s", strings.Join(attributes, ", "))
		}
		c := condition{attribute: o.Attribute, value: o.Value}
		if err := c.read(o.Op); err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// most is how many parts the names of things have.
var most = map[string]int{"database": 1, "table": 2, "column": 3}

func (c *condition) read(op string) (err error) {
	switch op {
	case "=", "!=":
		c.not = op == "!="
		if c.attribute == "user" {
			if c.client, err = filter.ParseClient(c.value); err != nil {
				return fmt.Errorf("value %w", err)
			}
			return nil
		}
		if c.attribute == "query" {
			return nil
		}
		c.parts = strings.Split(c.value, ".")
		if len(c.parts) > most[c.attribute] || slices.Contains(c.parts, "") {
			return fmt.Errorf("value must be the name of a %s", c.attribute)
		}
	case "like", "unlike":
		c.not = op == "unlike"
		if c.regex, err = filter.CompileRegexp(c.value, 0); err != nil {
			return fmt.Errorf("value %w", err)
		}
	default:
		return errors.New("op must be one of =, !=, like, unlike")
	}
	return nil
}

// statement is what conditions look at; the names are found out when they are
// first wanted.
type statement struct {
	sql      []byte
	mode     sqlclass.Mode
	database string // the default one
	details  *sqlclass.Details
}

// names are those of the things that an attribute is of, with as many parts in
// front as are known.
func (s *statement) names(attribute string) (out [][]string) {
	if s.details == nil {
		d := sqlclass.Describe(s.sql, s.mode)
		s.details = &d
	}
	var tables [][]string
	for _, t := range s.details.Tables {
		database := s.database
		if !t.Database.Empty() {
			database = string(t.Database.Value(s.sql, s.mode))
		}
		tables = append(tables, known(database, string(t.Name.Value(s.sql, s.mode))))
	}
	switch attribute {
	case "table":
		return tables
	case "database":
		for _, t := range tables {
			if len(t) == 2 {
				out = append(out, t[:1])
			}
		}
		if len(tables) == 0 && s.database != "" {
			out = append(out, []string{s.database})
		}
		return out
	}
	for _, f := range s.details.Fields {
		name := known(f.Database, f.Table, f.Column)
		if f.Table == "" && len(tables) == 1 {
			name = append(slices.Clone(tables[0]), f.Column)
		}
		out = append(out, name)
	}
	return out
}

// known is a name without the parts in front that are not known.
func known(parts ...string) []string {
	for len(parts) > 1 && parts[0] == "" {
		parts = parts[1:]
	}
	return parts
}

// holds tells whether a condition on a statement is true. A name that is not
// to be there must be none of the statement's.
func (c *condition) holds(s *statement) bool {
	if c.attribute == "query" {
		if c.regex != nil {
			return c.matches(string(s.sql))
		}
		return (string(s.sql) == c.value) != c.not
	}
	found := false
	for _, name := range s.names(c.attribute) {
		if c.regex != nil {
			ok, err := c.regex.Match([]byte(strings.Join(name, ".")))
			if err != nil {
				return false // what cannot be told is not kept
			}
			found = found || ok
			continue
		}
		found = found || len(name) >= len(c.parts) && slices.EqualFunc(name[len(name)-len(c.parts):], c.parts, strings.EqualFold)
	}
	return found != c.not
}

func (c *condition) matches(text string) bool {
	found, err := c.regex.Match([]byte(text))
	return err == nil && found != c.not
}

// allows tells whether a condition on a user is true.
func (c *condition) allows(user string, remote netip.AddrPort) bool {
	if c.regex == nil {
		return c.client.Matches(user, remote) != c.not
	}
	host := "localhost"
	if remote.IsValid() {
		host = remote.Addr().Unmap().String()
	}
	return c.matches(user + "@" + host)
}

// find is the first set by which a statement's result is kept, nil for none.
func find(sets []ruleset, s *statement) *ruleset {
	for i := range sets {
		store := sets[i].store
		if store == nil || slices.ContainsFunc(store, func(c condition) bool { return c.holds(s) }) {
			return &sets[i]
		}
	}
	return nil
}

// usable tells whether a user gets results from the cache.
func (r *ruleset) usable(user string, remote netip.AddrPort) bool {
	return r.use == nil || slices.ContainsFunc(r.use, func(c condition) bool { return c.allows(user, remote) })
}

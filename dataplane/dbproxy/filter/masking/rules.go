package masking

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/backplane/backplane/dataplane/dbproxy/filter"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// rules are those of a file, in order.
type rules []*rule

// rule is which column is masked how, and for whom. Names are compared without
// regard to case.
type rule struct {
	database, table, column string // the first two are empty for any
	match                   *filter.Regexp
	value, fill             []byte
	obfuscate               bool
	applies, exempted       []filter.Client
}

type rulesFile struct {
	Rules []ruleObject `json:"rules"`
}

type ruleObject struct {
	Replace   *target   `json:"replace"`
	Obfuscate *target   `json:"obfuscate"`
	With      *with     `json:"with"`
	AppliesTo *[]string `json:"applies_to"`
	Exempted  *[]string `json:"exempted"`
}

type target struct {
	Column   string  `json:"column"`
	Table    string  `json:"table"`
	Database string  `json:"database"`
	Match    *string `json:"match"`
}

type with struct {
	Value *string `json:"value"`
	Fill  *string `json:"fill"`
}

// parseRules reads a file of rules ("Masking", section Rules).
func parseRules(text []byte) (rules, error) {
	var file rulesFile
	if err := filter.DecodeRules(text, &file); err != nil {
		return nil, err
	}
	if file.Rules == nil {
		return nil, errors.New(`lacks the list "rules"`)
	}
	list := rules{}
	for i := range file.Rules {
		r, err := file.Rules[i].rule()
		if err != nil {
			return nil, fmt.Errorf("has a fault in rule %d: %w", i+1, err)
		}
		list = append(list, r)
	}
	return list, nil
}

func (o *ruleObject) rule() (*rule, error) {
	r := &rule{obfuscate: o.Obfuscate != nil, fill: []byte("X")}
	t := o.Replace
	if r.obfuscate {
		t = o.Obfuscate
	}
	switch {
	case (o.Replace == nil) == (o.Obfuscate == nil):
		return nil, errors.New(`there must be either "replace" or "obfuscate"`)
	case t.Column == "":
		return nil, errors.New(`"column" must be given`)
	case r.obfuscate && (o.With != nil || t.Match != nil):
		return nil, errors.New(`"obfuscate" goes without "with" and "match"`)
	case !r.obfuscate && o.With == nil:
		return nil, errors.New(`"with" must be given`)
	}
	r.database, r.table, r.column = t.Database, t.Table, t.Column
	if !r.obfuscate {
		if err := r.with(o.With, t.Match); err != nil {
			return nil, err
		}
	}
	var err error
	if r.applies, err = clients(o.AppliesTo); err != nil {
		return nil, fmt.Errorf("applies_to %w", err)
	}
	if r.exempted, err = clients(o.Exempted); err != nil {
		return nil, fmt.Errorf("exempted %w", err)
	}
	return r, nil
}

func (r *rule) with(w *with, match *string) (err error) {
	if w.Value == nil && w.Fill == nil || w.Value != nil && *w.Value == "" || w.Fill != nil && *w.Fill == "" {
		return errors.New(`"with" must have "value" or "fill", which must not be empty`)
	}
	if w.Value != nil {
		r.value = []byte(*w.Value)
	}
	if w.Fill != nil {
		r.fill = []byte(*w.Fill)
	}
	if match != nil {
		if r.match, err = filter.CompileRegexp(*match, 0); err != nil {
			return fmt.Errorf("match %w", err)
		}
	}
	return nil
}

// clients reads a list of patterns; nil is the list that is not there.
func clients(texts *[]string) ([]filter.Client, error) {
	if texts == nil {
		return nil, nil
	}
	list := []filter.Client{}
	for _, text := range *texts {
		c, err := filter.ParseClient(text)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// of are the rules for a client.
func (l rules) of(user string, remote netip.AddrPort) (out rules) {
	for _, r := range l {
		if (r.applies == nil || among(r.applies, user, remote)) && !among(r.exempted, user, remote) {
			out = append(out, r)
		}
	}
	return out
}

func among(list []filter.Client, user string, remote netip.AddrPort) bool {
	for _, c := range list {
		if c.Matches(user, remote) {
			return true
		}
	}
	return false
}

// column is the first rule for a column of a result, nil if there is none. What
// the server does not tell of the column, as in unions, counts as equal.
func (l rules) column(c *wire.Column) *rule {
	name := c.OrgName
	if len(name) == 0 {
		name = c.Name
	}
	for _, r := range l {
		if same(r.column, name) && (r.table == "" || len(c.OrgTable) == 0 || same(r.table, c.OrgTable)) &&
			(r.database == "" || len(c.Schema) == 0 || same(r.database, c.Schema)) {
			return r
		}
	}
	return nil
}

func same(name string, other []byte) bool { return strings.EqualFold(name, string(other)) }

package dbaas

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/backplane/backplane/internal/errs"
)

// columnKind says what a column holds.
type columnKind int

const (
	text columnKind = iota
	number
	truth
	instant // microseconds since the epoch
)

// column is something that a list can be ordered and filtered by.
type column struct {
	name string // in the store
	kind columnKind
}

// columns are those of a list, by the names that callers use.
type columns map[string]column

// value reads a condition's value.
func (c column) value(s string) (any, bool) {
	switch c.kind {
	case number:
		n, err := strconv.ParseInt(s, 10, 64)
		return n, err == nil
	case truth:
		b, err := strconv.ParseBool(s)
		return b, err == nil
	case instant:
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999", "2006-01-02 15:04:05", time.DateOnly} {
			if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
				return t.UnixMicro(), true
			}
		}
		return nil, false
	default:
		return s, true
	}
}

// conditions turns filters into predicates. Names that are not columns, or not
// compared in a way that columns are, are left alone: `environment__name` is
// for others to see to. A value of the wrong kind is refused.
func conditions[P ~func(*sql.Selector)](cols columns, filter map[string]string) ([]P, error) {
	var out []P
	var f faults
	for _, name := range slices.Sorted(maps.Keys(filter)) {
		value := filter[name]
		field, lookup, _ := strings.Cut(name, "__")
		c, ok := cols[field]
		if !ok || !lookups[lookup] {
			continue
		}
		p, ok := c.condition(lookup, value)
		if !ok {
			f.add(name, "Enter a valid value.")
			continue
		}
		out = append(out, P(p))
	}
	if len(f) > 0 {
		return nil, errs.Invalid(f...)
	}
	return out, nil
}

// lookups are the ways to compare a column.
var lookups = map[string]bool{
	"": true, "exact": true, "iexact": true, "contains": true, "icontains": true, "startswith": true, "endswith": true,
	"in": true, "gt": true, "gte": true, "lt": true, "lte": true,
}

// condition compares a column in the way that lookup names.
func (c column) condition(lookup, value string) (func(*sql.Selector), bool) {
	on := func(p func(col string) *sql.Predicate) (func(*sql.Selector), bool) {
		return func(s *sql.Selector) { s.Where(p(s.C(c.name))) }, true
	}
	switch lookup {
	case "contains":
		return on(func(col string) *sql.Predicate { return sql.Contains(col, value) })
	case "icontains":
		return on(func(col string) *sql.Predicate { return sql.ContainsFold(col, value) })
	case "startswith":
		return on(func(col string) *sql.Predicate { return sql.HasPrefix(col, value) })
	case "endswith":
		return on(func(col string) *sql.Predicate { return sql.HasSuffix(col, value) })
	case "iexact":
		return on(func(col string) *sql.Predicate { return sql.EqualFold(col, value) })
	case "in":
		var list []any
		for _, s := range strings.Split(value, ",") {
			v, ok := c.value(s)
			if !ok {
				return nil, false
			}
			list = append(list, v)
		}
		return on(func(col string) *sql.Predicate { return sql.In(col, list...) })
	}
	v, ok := c.value(value)
	if !ok {
		return nil, false
	}
	compare := sql.EQ
	switch lookup {
	case "gt":
		compare = sql.GT
	case "gte":
		compare = sql.GTE
	case "lt":
		compare = sql.LT
	case "lte":
		compare = sql.LTE
	}
	return on(func(col string) *sql.Predicate { return compare(col, v) })
}

// orders turns `name,-id` into an order; names that are not columns are left
// out. The id comes last, so that pages do not overlap.
func orders[O ~func(*sql.Selector)](cols columns, ordering string) []O {
	return ordersOf[O](cols, ordering, false)
}

// ordersOf is orders, or that read from the end.
func ordersOf[O ~func(*sql.Selector)](cols columns, ordering string, fromEnd bool) []O {
	var out []O
	by := func(name string, down bool) {
		out = append(out, func(s *sql.Selector) {
			if down {
				s.OrderBy(sql.Desc(s.C(name)))
			} else {
				s.OrderBy(s.C(name))
			}
		})
	}
	for _, name := range strings.Split(ordering, ",") {
		name, down := strings.CutPrefix(strings.TrimSpace(name), "-")
		if c, ok := cols[name]; ok {
			by(c.name, down != fromEnd)
		}
	}
	by("id", fromEnd)
	return out
}

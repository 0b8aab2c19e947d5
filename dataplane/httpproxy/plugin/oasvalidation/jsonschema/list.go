package jsonschema

func (l *listRules) check(e *evaluation, list []any, seen *evaluated) bool {
	r := verdict{e, true}
	if len(list) < l.min {
		e.fault("minItems", l.min)
		r.ok = false
	}
	if l.max >= 0 && len(list) > l.max {
		e.fault("maxItems", l.max)
		r.ok = false
	}
	if !r.and(!l.unique || l.differ(e, list)) {
		return false
	}
	for i, v := range list {
		s := l.items
		if i < len(l.prefix) {
			s = l.prefix[i]
		}
		if s == nil {
			break
		}
		if !r.and(e.descend(step{"", i}, s, v)) {
			return false
		}
	}
	if seen != nil {
		seen.items = max(seen.items, min(len(l.prefix), len(list)))
		seen.allItems = seen.allItems || l.items != nil
	}
	r.and(l.contains == nil || l.holds(e, list, seen))
	return r.ok
}

// differ tells whether no two items are equal.
func (l *listRules) differ(e *evaluation, list []any) bool {
	known := make(map[string]struct{}, len(list))
	for _, v := range list {
		key := e.key(v)
		if e.steps--; e.steps < 0 {
			return false
		}
		if _, twice := known[string(key)]; twice {
			e.fault("uniqueItems", nil)
			return false
		}
		known[string(key)] = struct{}{}
	}
	return true
}

// holds tells whether a list contains what it must.
func (l *listRules) holds(e *evaluation, list []any, seen *evaluated) bool {
	n := 0
	e.quiet++
	for i, v := range list {
		if e.descend(step{"", i}, l.contains, v) {
			n++
			seen.item(i)
		}
	}
	e.quiet--
	switch {
	case e.steps < 0:
		return false
	case n == 0 && l.minContains == 1:
		e.fault("contains", nil)
	case n < l.minContains:
		e.fault("minContains", l.minContains)
	case l.maxContains >= 0 && n > l.maxContains:
		e.fault("maxContains", l.maxContains)
	default:
		return true
	}
	return false
}

package jsonschema

// checkBranches checks a value by the schemas that apply to it as well.
func (s *Schema) checkBranches(e *evaluation, v any, seen *evaluated) bool {
	if s.unrequired != nil && (s.allOf != nil || s.ref != nil) && e.direction != 0 {
		e.unrequired = append(e.unrequired, s.unrequired)
		defer func() { e.unrequired = e.unrequired[:len(e.unrequired)-1] }()
	}
	r := verdict{e, true}
	if s.ref != nil && !r.and(s.ref.check(e, v, seen)) {
		return false
	}
	for _, b := range s.allOf {
		if !r.and(b.check(e, v, seen)) {
			return false
		}
	}
	if s.anyOf != nil && !r.and(s.checkChoice(e, v, seen, "anyOf", s.anyOf)) {
		return false
	}
	if s.oneOf != nil && !r.and(s.checkChoice(e, v, seen, "oneOf", s.oneOf)) {
		return false
	}
	if s.not != nil && e.silently(s.not, v, nil) {
		if e.steps >= 0 {
			e.fault("not", nil)
		}
		if !r.and(false) {
			return false
		}
	}
	if s.when != nil {
		then := s.other
		if branch := seen.branch(); e.silently(s.when, v, branch) {
			seen.merge(e, branch)
			then = s.then
		}
		if then != nil {
			r.and(then.check(e, v, seen))
		}
	}
	return r.ok && e.steps >= 0
}

// silently tells whether a value fits, without telling why not.
func (e *evaluation) silently(s *Schema, v any, seen *evaluated) bool {
	e.quiet++
	ok := s.check(e, v, seen)
	e.quiet--
	return ok
}

// checkChoice checks a value by branches of which one must fit, or one alone.
func (s *Schema) checkChoice(e *evaluation, v any, seen *evaluated, keyword string, branches []*Schema) bool {
	if b := s.branchOf(v, branches); b != nil {
		return b.check(e, v, seen)
	}
	before, fits := len(e.faults), 0
	for _, b := range branches {
		// What cannot fit has nothing to tell, if the value is not null.
		if v != nil && b.kinds == Null {
			continue
		}
		branch := seen.branch()
		if !b.check(e, v, branch) {
			continue
		}
		seen.merge(e, branch)
		if fits++; fits > 1 || keyword == "anyOf" && seen == nil {
			break
		}
	}
	switch {
	case e.steps < 0:
		return false
	case fits == 1 || fits > 1 && keyword == "anyOf":
		e.faults = e.faults[:before]
		return true
	}
	causes := append([]Fault(nil), e.faults[before:]...)
	e.faults = e.faults[:before]
	if fits > 1 {
		e.fault("oneOfMany", nil)
		return false
	}
	e.fault(keyword, nil)
	if n := len(e.faults); n > before {
		e.faults[n-1].Causes = causes
	}
	return false
}

// branchOf is the branch that a value says it is of, nil if it does not say.
func (s *Schema) branchOf(v any, branches []*Schema) *Schema {
	object, ok := v.(map[string]any)
	if !ok || s.chosen == nil {
		return nil
	}
	name, _ := object[s.chosen.property].(string)
	chosen := s.chosen.branches[name]
	for _, b := range branches {
		if b == chosen {
			return chosen
		}
	}
	return nil
}

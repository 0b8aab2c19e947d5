package filter

// Span is a part of a text.
type Span struct{ Start, End int }

// Find returns where the expression is found, from left to right. What is empty
// is left out. The only error is ErrMatchTimeout.
func (x *Regexp) Find(text []byte) ([]Span, error) {
	runes, done := x.runes(text)
	defer done()
	var found []Span
	m, err := x.engine.FindRunesMatch(*runes)
	for ; m != nil && err == nil; m, err = x.engine.FindNextMatch(m) {
		if m.Length > 0 { // a character of the engine is a byte
			found = append(found, Span{m.Index, m.Index + m.Length})
		}
	}
	if err != nil {
		return nil, ErrMatchTimeout
	}
	return found, nil
}

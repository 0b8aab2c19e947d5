package filter

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Replacement puts a text in place of what an expression finds.
type Replacement struct {
	regexp *Regexp
	pieces []piece
}

// piece is a text of a replacement, followed by what a group has found.
type piece struct {
	text  string
	group int // -1 for none
}

// Replacement reads the text to put in place of what is found, in which $1,
// ${1} and ${name} stand for what a group has found, and $$ for a dollar
// ("Creating a new string with substitutions", PCRE2).
func (x *Regexp) Replacement(text string) (*Replacement, error) {
	r := &Replacement{regexp: x}
	plain := ""
	for text != "" {
		before, after, found := strings.Cut(text, "$")
		plain += before
		if !found {
			break
		}
		if rest, ok := strings.CutPrefix(after, "$"); ok {
			plain, text = plain+"$", rest
			continue
		}
		name, rest, err := groupName(after)
		if err != nil {
			return nil, err
		}
		group, err := strconv.Atoi(name)
		if err != nil {
			var ok bool
			if group, ok = x.names[name]; !ok {
				group = -1
			}
		}
		if group < 0 || group > x.groups {
			return nil, fmt.Errorf("refers to the group %q, which the expression does not have", name)
		}
		r.pieces = append(r.pieces, piece{plain, group})
		plain, text = "", rest
	}
	if plain != "" {
		r.pieces = append(r.pieces, piece{plain, -1})
	}
	return r, nil
}

// groupName is the number or name that comes after a dollar, with what follows
// it.
func groupName(text string) (name, rest string, err error) {
	if inner, ok := strings.CutPrefix(text, "{"); ok {
		name, rest, ok = strings.Cut(inner, "}")
		if !ok || name == "" {
			return "", "", errors.New("has ${ without a name and }")
		}
		return name, rest, nil
	}
	end := 0
	for end < len(text) && (isDigitByte(text[end]) || end == 0 && isName(text[:1])) {
		end++
		if !isDigitByte(text[0]) {
			for end < len(text) && isName(text[:end+1]) {
				end++
			}
			break
		}
	}
	if end == 0 {
		return "", "", errors.New("has a dollar that is neither doubled nor followed by a group")
	}
	return text[:end], text[end:], nil
}

// Apply replaces everything that is found, and tells whether something was. The
// text is not changed; the only error is ErrMatchTimeout.
func (r *Replacement) Apply(text []byte) (replaced []byte, found bool, err error) {
	runes, done := r.regexp.runes(text)
	defer done()
	deadline := time.Now().Add(MatchTimeout)
	match, err := r.regexp.engine.FindRunesMatch(*runes)
	at := 0
	for ; match != nil && err == nil; match, err = r.regexp.engine.FindNextMatch(match) {
		if time.Now().After(deadline) {
			return nil, false, ErrMatchTimeout
		}
		replaced = append(replaced, text[at:match.Index]...)
		for _, p := range r.pieces {
			replaced = append(replaced, p.text...)
			if p.group < 0 {
				continue
			}
			if g := match.GroupByNumber(p.group); g != nil && len(g.Captures) > 0 {
				replaced = append(replaced, text[g.Index:g.Index+g.Length]...)
			}
		}
		at, found = match.Index+match.Length, true
	}
	if err != nil {
		return nil, false, ErrMatchTimeout
	}
	if !found {
		return text, false, nil
	}
	return slices.Concat(replaced, text[at:]), true, nil
}

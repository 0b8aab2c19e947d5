package filter

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// byteSet is a set of bytes.
type byteSet [256]bool

func (s *byteSet) add(low, high byte) {
	for c := int(low); c <= int(high); c++ {
		s[c] = true
	}
}

// join adds another set, or all that is not in it.
func (s *byteSet) join(other byteSet, inverted bool) {
	for c, in := range other {
		if in != inverted {
			s[c] = true
		}
	}
}

// setOf is the set of the characters in pairs, first and last ones.
func setOf(pairs string) (s byteSet) {
	for i := 0; i+1 < len(pairs); i += 2 {
		s.add(pairs[i], pairs[i+1])
	}
	return s
}

// emitSet writes a set as a class.
func (t *translation) emitSet(set byteSet, inverted bool) {
	t.atom = len(t.out)
	t.out = append(t.out, '[')
	if inverted {
		t.out = append(t.out, '^')
	}
	empty := true
	for low := 0; low < 256; low++ {
		if !set[low] {
			continue
		}
		high := low
		for high < 255 && high != 0x7f && set[high+1] {
			high++
		}
		t.out = fmt.Appendf(t.out, `\u%04X-\u%04X`, byteRune(byte(low)), byteRune(byte(high)))
		low, empty = high, false
	}
	if empty { // a character that no text has
		t.out = append(t.out, `\uFFFF`...)
	}
	t.out = append(t.out, ']')
}

// The sets behind a letter; the upper case one is the inversion.
var letterSets = map[byte]string{
	'd': "09", 'w': "09AZ__az", 's': "\t\r  ", 'h': "\t\t  \xa0\xa0", 'v': "\n\r\x85\x85",
}

// The sets behind [:name:].
var namedSets = map[string]string{
	"alpha": "AZaz", "lower": "az", "upper": "AZ", "alnum": "09AZaz", "ascii": "\x00\x7f", "blank": "\t\t  ",
	"cntrl": "\x00\x1f\x7f\x7f", "digit": "09", "graph": "!~", "print": " ~", "punct": "!/:@[`{~",
	"space": "\t\r  ", "word": "09AZ__az", "xdigit": "09AFaf",
}

// classEscape reads an escape that stands for a set, if it is one.
func (t *translation) classEscape() (set byteSet, ok bool, err error) {
	if t.pos == len(t.in) {
		return set, false, errRegexpEnd
	}
	c := t.in[t.pos]
	lower := c | 0x20
	if pairs, ok := letterSets[lower]; ok {
		t.pos++
		set.join(setOf(pairs), c != lower)
		return set, true, nil
	}
	if c != 'p' && c != 'P' {
		return set, false, nil
	}
	t.pos++
	name := ""
	switch {
	case t.skip("{"):
		if name, err = t.until("}"); err != nil {
			return set, false, err
		}
	case t.pos < len(t.in):
		name = t.in[t.pos : t.pos+1]
		t.pos++
	}
	bare, inverted := strings.CutPrefix(name, "^")
	table := unicode.Categories[bare]
	if table == nil {
		table = unicode.Scripts[bare]
	}
	if table == nil {
		return set, false, unsupported(`\p{` + name + `}`)
	}
	for i := range set {
		set[i] = unicode.Is(table, rune(i)) != (inverted != (c == 'P'))
	}
	return set, true, nil
}

// class reads […], of which the bracket is gone.
func (t *translation) class() error {
	inverted := t.skip("^")
	var set byteSet
	first := true
	for {
		if t.pos == len(t.in) {
			return errors.New("has a class that is not closed")
		}
		if t.in[t.pos] == ']' && !first {
			t.pos++
			break
		}
		first = false
		if err := t.member(&set); err != nil {
			return err
		}
	}
	t.emitSet(set, inverted)
	return nil
}

// member reads a character, a range or a set within a class.
func (t *translation) member(set *byteSet) error {
	if more, err := t.quoted(set); more || err != nil {
		return err
	}
	if t.flags.more && (t.in[t.pos] == ' ' || t.in[t.pos] == '\t') {
		t.pos++
		return nil
	}
	low, single, err := t.element(set)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(t.rest(), "-") || strings.HasPrefix(t.rest(), "-]") {
		return nil
	}
	if !single {
		t.pos++
		set.add('-', '-')
		if t.pos < len(t.in) && t.in[t.pos] != ']' {
			return errors.New("has a range in a class that begins with a set")
		}
		return nil
	}
	t.pos++
	if t.pos == len(t.in) {
		return errors.New("has a class that is not closed")
	}
	high, single, err := t.element(set)
	switch {
	case err != nil:
		return err
	case !single:
		return errors.New("has a range in a class that ends with a set")
	case high < low:
		return errors.New("has a range in a class that is out of order")
	}
	set.add(low, high)
	return nil
}

// quoted reads \Q…\E within a class.
func (t *translation) quoted(set *byteSet) (bool, error) {
	if t.skip(`\E`) {
		return true, nil
	}
	if !t.skip(`\Q`) {
		return false, nil
	}
	text, after, ok := strings.Cut(t.rest(), `\E`)
	if !ok {
		return false, errors.New("has a class that is not closed")
	}
	t.pos = len(t.in) - len(after)
	for i := range len(text) {
		set.add(text[i], text[i])
	}
	return true, nil
}

// element reads one character or one set of a class, and adds it.
func (t *translation) element(set *byteSet) (c byte, single bool, err error) {
	c = t.in[t.pos]
	switch {
	case c == '[' && (strings.HasPrefix(t.rest(), "[:") || strings.HasPrefix(t.rest(), "[.") || strings.HasPrefix(t.rest(), "[=")):
		done, err := t.posix(set)
		if done || err != nil {
			return 0, false, err
		}
		t.pos++
	case c == '\\':
		t.pos++
		if t.skip("b") {
			c = '\b'
			break
		}
		other, ok, err := t.classEscape()
		if err != nil {
			return 0, false, err
		}
		if ok {
			set.join(other, false)
			return 0, false, nil
		}
		if c, err = t.character(); err != nil {
			return 0, false, err
		}
	default:
		t.pos++
	}
	set.add(c, c)
	return c, true, nil
}

// posix reads [:name:].
func (t *translation) posix(set *byteSet) (bool, error) {
	kind := t.rest()[1:2]
	name, after, ok := strings.Cut(t.rest()[2:], kind+"]")
	if !ok || strings.ContainsAny(name, "]\\") {
		return false, nil // a bracket is a character, too
	}
	bare, inverted := strings.CutPrefix(name, "^")
	pairs, ok := namedSets[bare]
	if kind != ":" || !ok {
		return false, unsupported("[" + kind + name + kind + "]")
	}
	t.pos = len(t.in) - len(after)
	set.join(setOf(pairs), inverted)
	return true, nil
}

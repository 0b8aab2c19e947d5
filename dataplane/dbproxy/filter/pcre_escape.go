package filter

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// escape reads what follows a backslash outside of classes.
func (t *translation) escape() error {
	if t.pos == len(t.in) {
		return errRegexpEnd
	}
	c := t.in[t.pos]
	switch c {
	case 'b', 'B', 'A', 'Z', 'z', 'G':
		t.pos++
		t.assertion(`\` + string(c))
		return nil
	case 'R':
		t.pos++
		t.emit(`(?>\r\n|[\n-\r\u` + fmt.Sprintf("%04X", byteRune(0x85)) + `])`)
		return nil
	case 'N':
		t.pos++
		if strings.HasPrefix(t.rest(), "{") && braces(t.rest()) == "" {
			return unsupported(`\N{…}`)
		}
		t.emit(`[^\n]`)
		return nil
	case 'Q':
		t.pos++
		text, after, _ := strings.Cut(t.rest(), `\E`)
		t.pos = len(t.in) - len(after)
		for i := range len(text) {
			t.literal(text[i])
		}
		return nil
	case 'E':
		t.pos++
		return nil
	case 'k', 'g':
		t.pos++
		return t.referenceEscape(c)
	}
	if c >= '1' && c <= '9' {
		if done, err := t.numbered(); done || err != nil {
			return err
		}
	}
	if set, ok, err := t.classEscape(); ok || err != nil {
		if err != nil {
			return err
		}
		t.emitSet(set, false)
		return nil
	}
	value, err := t.character()
	if err != nil {
		return err
	}
	t.literal(value)
	return nil
}

// numbered reads \1 and up, unless it is a character in octal.
func (t *translation) numbered() (bool, error) {
	end := t.pos
	for end < len(t.in) && isDigitByte(t.in[end]) {
		end++
	}
	n, err := strconv.Atoi(t.in[t.pos:end])
	switch {
	case err == nil && (n < 10 || n <= t.groups):
		t.pos = end
		return true, t.reference(strconv.Itoa(n))
	case t.in[t.pos] >= '8':
		return true, errors.New("refers to a group that is not there")
	}
	return false, nil
}

func isDigitByte(c byte) bool { return c >= '0' && c <= '9' }

// referenceEscape reads \k<name>, \g{name}, \g1 and their like.
func (t *translation) referenceEscape(kind byte) error {
	for _, pair := range []string{"{}", "<>", "''"} {
		if !t.skip(pair[:1]) {
			continue
		}
		if kind == 'g' && pair != "{}" {
			return unsupported(`\g` + pair)
		}
		name, err := t.until(pair[1:])
		if err != nil {
			return err
		}
		if kind == 'k' && !isName(name) {
			return errors.New("refers to a group by a name that none can have")
		}
		return t.reference(name)
	}
	end := t.pos
	if end < len(t.in) && (t.in[end] == '-' || t.in[end] == '+') {
		end++
	}
	for end < len(t.in) && isDigitByte(t.in[end]) {
		end++
	}
	number := t.in[t.pos:end]
	if kind == 'k' || number == "" {
		return errors.New("refers to a group without a name")
	}
	t.pos = end
	return t.reference(number)
}

// reference writes that what a group has found comes again.
func (t *translation) reference(name string) error {
	n, err := strconv.Atoi(name)
	if err != nil {
		var ok bool
		if n, ok = t.known[name]; !ok && t.known != nil || !isName(name) {
			return errors.New("refers to a group that is not there")
		}
	}
	switch {
	case strings.HasPrefix(name, "-"):
		n += t.groups + 1
	case strings.HasPrefix(name, "+"):
		n += t.groups
	}
	if t.known != nil && n <= 0 {
		return errors.New("refers to a group that is not there")
	}
	t.emit(fmt.Sprintf(`(?:\%d)`, max(n, 1)))
	return nil
}

// controls are the letters that stand for characters.
var controls = map[byte]byte{'a': 7, 'e': 27, 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// character reads the rest of an escape that stands for one byte.
func (t *translation) character() (byte, error) {
	if t.pos == len(t.in) {
		return 0, errRegexpEnd
	}
	c := t.in[t.pos]
	t.pos++
	if value, ok := controls[c]; ok {
		return value, nil
	}
	switch {
	case c == 'x' && t.skip("{"):
		return t.value(16)
	case c == 'o' && t.skip("{"):
		return t.value(8)
	case c == 'x':
		return t.digits("", 2, 16)
	case c >= '0' && c <= '7':
		return t.digits(string(c), 2, 8)
	case c == 'c' && t.pos < len(t.in) && t.in[t.pos] > ' ' && t.in[t.pos] < 0x7f:
		c = t.in[t.pos]
		t.pos++
		return strings.ToUpper(string(c))[0] ^ 0x40, nil
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', isDigitByte(c):
		return 0, unsupported(`\` + string(c))
	}
	return c, nil
}

// value reads the number of a character up to a closing brace.
func (t *translation) value(base int) (byte, error) {
	text, err := t.until("}")
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(text, base, 8)
	if err != nil {
		return 0, fmt.Errorf("has a character %q, which is no byte", text)
	}
	return byte(n), nil
}

// digits reads up to count more digits of the number of a character.
func (t *translation) digits(text string, count, base int) (byte, error) {
	for range count {
		if t.pos == len(t.in) {
			break
		}
		if _, err := strconv.ParseUint(t.in[t.pos:t.pos+1], base, 8); err != nil {
			break
		}
		text += t.in[t.pos : t.pos+1]
		t.pos++
	}
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, base, 8)
	if err != nil {
		return 0, fmt.Errorf("has a character %q, which is no byte", text)
	}
	return byte(n), nil
}

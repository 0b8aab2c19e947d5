package filter

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// translation turns the syntax of PCRE2 into that of the engine. What means the
// same in both goes over as it is; characters and classes are written so that
// they can be nothing else.
type translation struct {
	in  string
	pos int
	out []byte
	// atom is where in out a quantifier would begin to count, -1 for nowhere.
	atom   int
	flags  patternFlags
	frames []frame
	groups int
	names  map[string]int
	known  map[string]int // names of groups, also of those yet to come
}

// patternFlags are the options in force at a place of a pattern.
type patternFlags struct{ extended, more, multiline bool }

// frame is a group that is open.
type frame struct {
	start int // in out
	flags patternFlags
}

var (
	errRegexpEnd    = errors.New("ends within a construct")
	errRegexpNested = errors.New("repeats something that cannot be repeated")
)

func unsupported(what string) error { return fmt.Errorf("uses %s, which is not supported", what) }

// maxPattern bounds the length of a pattern.
const maxPattern = 16 << 10

// translate reads a pattern twice, because it may refer to groups by names that
// come later.
func translate(text string, extended bool) (*translation, error) {
	if len(text) > maxPattern {
		return nil, fmt.Errorf("is longer than %d bytes", maxPattern)
	}
	var t *translation
	var known map[string]int
	for range 2 {
		t = &translation{in: text, atom: -1, names: map[string]int{}, known: known}
		t.flags.extended = extended
		if err := t.pattern(); err != nil {
			return nil, err
		}
		known = t.names
	}
	return t, nil
}

func (t *translation) pattern() error {
	for t.pos < len(t.in) {
		if err := t.item(); err != nil {
			return err
		}
	}
	if len(t.frames) > 0 {
		return errors.New("has a group that is not closed")
	}
	return nil
}

// rest is what is left of the pattern.
func (t *translation) rest() string { return t.in[t.pos:] }

// skip takes the prefix away if it comes next.
func (t *translation) skip(prefix string) bool {
	if strings.HasPrefix(t.rest(), prefix) {
		t.pos += len(prefix)
		return true
	}
	return false
}

// emit writes something that can be repeated.
func (t *translation) emit(text string) {
	t.atom = len(t.out)
	t.out = append(t.out, text...)
}

// assertion writes something about a place, which cannot be repeated.
func (t *translation) assertion(text string) {
	t.out, t.atom = append(t.out, text...), -1
}

// literal writes a byte that stands for itself.
func (t *translation) literal(c byte) {
	t.atom = len(t.out)
	t.out = appendByte(t.out, c)
}

func appendByte(out []byte, c byte) []byte {
	if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' {
		return append(out, c)
	}
	return fmt.Appendf(out, `\u%04X`, byteRune(c))
}

func isBlank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// gap moves over what means nothing in an extended pattern.
func (t *translation) gap() {
	for t.flags.extended && t.pos < len(t.in) {
		switch c := t.in[t.pos]; {
		case isBlank(c):
			t.pos++
		case c == '#':
			n := strings.IndexByte(t.rest(), '\n')
			if n < 0 {
				n = len(t.rest()) - 1
			}
			t.pos += n + 1
		default:
			return
		}
	}
}

// item reads the next piece of the pattern.
func (t *translation) item() error {
	t.gap()
	if t.pos == len(t.in) {
		return nil
	}
	c := t.in[t.pos]
	switch c {
	case '\\':
		t.pos++
		return t.escape()
	case '[':
		t.pos++
		return t.class()
	case '(':
		t.pos++
		return t.open()
	case ')':
		t.pos++
		return t.close()
	case '|':
		t.pos++
		t.out, t.atom = append(t.out, '|'), -1
		return nil
	case '*', '+', '?', '{':
		return t.quantifier()
	}
	t.pos++
	switch {
	case c == '^' && t.flags.multiline:
		t.assertion(`(?:\A|^(?!\z))`)
	case c == '^', c == '$':
		t.assertion(string(c))
	case c == '.':
		t.emit(".")
	default:
		t.literal(c)
	}
	return nil
}

// quantifier reads how often the item before it comes.
func (t *translation) quantifier() error {
	q := t.in[t.pos : t.pos+1]
	if q == "{" {
		if q = braces(t.rest()); q == "" {
			t.pos++
			t.literal('{')
			return nil
		}
	}
	t.pos += len(q)
	if t.atom < 0 {
		return errRegexpNested
	}
	switch {
	case t.skip("?"):
		t.out = append(t.out, q...)
		t.out = append(t.out, '?')
	case t.possessive():
		t.out = append(t.out, "(?>"...)
		copy(t.out[t.atom+3:], t.out[t.atom:])
		copy(t.out[t.atom:], "(?>")
		t.out = append(t.out, q...)
		t.out = append(t.out, ')')
	default:
		t.out = append(t.out, q...)
	}
	t.atom = -1
	return nil
}

// possessive takes the + after a quantifier, before which a gap may be.
func (t *translation) possessive() bool {
	at := t.pos
	t.gap()
	if t.skip("+") {
		return true
	}
	t.pos = at
	return false
}

// braces is the quantifier {n}, {n,} or {n,m} that text begins with; otherwise
// the brace is a character.
func braces(text string) string {
	end := strings.IndexByte(text, '}')
	if end < 0 {
		return ""
	}
	low, high, two := strings.Cut(text[1:end], ",")
	if !isNumber(low) || two && high != "" && !isNumber(high) {
		return ""
	}
	return text[:end+1]
}

func isNumber(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n <= 65535 && strings.Trim(s, "0123456789") == ""
}

func (t *translation) close() error {
	if len(t.frames) == 0 {
		return errors.New("closes a group that is not open")
	}
	f := t.frames[len(t.frames)-1]
	t.frames = t.frames[:len(t.frames)-1]
	t.out = append(t.out, ')')
	t.atom, t.flags = f.start, f.flags
	return nil
}

// push begins a group.
func (t *translation) push(text string) {
	t.frames = append(t.frames, frame{len(t.out), t.flags})
	t.out, t.atom = append(t.out, text...), -1
}

// capture begins a group with a number, and a name unless that is "".
func (t *translation) capture(name string) error {
	t.groups++
	if name != "" {
		if _, twice := t.names[name]; twice || !isName(name) {
			return fmt.Errorf("has a group named %q, twice or with characters that are not allowed", name)
		}
		t.names[name] = t.groups
	}
	t.push("(")
	return nil
}

func isName(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if s[i] != '_' && !(c >= 'a' && c <= 'z') && !(i > 0 && s[i] >= '0' && s[i] <= '9') {
			return false
		}
	}
	return s != ""
}

// open reads what begins a group.
func (t *translation) open() error {
	if strings.HasPrefix(t.rest(), "*") {
		return unsupported("(*…)")
	}
	if !t.skip("?") {
		return t.capture("")
	}
	for _, plain := range []string{":", "=", "!", "<=", "<!", ">"} {
		if t.skip(plain) {
			t.push("(?" + plain)
			return nil
		}
	}
	switch {
	case t.skip("#"):
		_, after, ok := strings.Cut(t.rest(), ")")
		if !ok {
			return errRegexpEnd
		}
		t.pos = len(t.in) - len(after)
		return nil
	case t.skip("P="):
		name, err := t.until(")")
		if err != nil {
			return err
		}
		return t.reference(name)
	case t.skip("P<"), t.skip("<"):
		return t.named(">")
	case t.skip("'"):
		return t.named("'")
	case t.skip("("):
		return t.condition()
	}
	return t.setFlags()
}

func (t *translation) named(end string) error {
	name, err := t.until(end)
	if err != nil {
		return err
	}
	if name == "" {
		return errors.New("has a group with an empty name")
	}
	return t.capture(name)
}

// until reads up to what ends a name.
func (t *translation) until(end string) (string, error) {
	name, after, ok := strings.Cut(t.rest(), end)
	if !ok {
		return "", errRegexpEnd
	}
	t.pos = len(t.in) - len(after)
	return name, nil
}

// condition reads the condition of (?(…)…|…).
func (t *translation) condition() error {
	for _, look := range []string{"?=", "?!", "?<=", "?<!"} {
		if t.skip(look) {
			t.push("(?")
			t.push("(" + look)
			return nil
		}
	}
	name, err := t.until(")")
	if err != nil {
		return err
	}
	if len(name) > 2 && (name[0] == '<' && strings.HasSuffix(name, ">") || name[0] == '\'' && strings.HasSuffix(name, "'")) {
		name = name[1 : len(name)-1]
	}
	n, err := strconv.Atoi(name)
	if err != nil {
		var ok bool
		if n, ok = t.known[name]; !ok && t.known != nil || !isName(name) {
			return unsupported("(?(" + name + ")…)")
		}
	}
	if t.known != nil && (n <= 0 || n > t.groups) {
		return errors.New("refers to a group that is not there")
	}
	t.push(fmt.Sprintf("(?(%d)", n))
	return nil
}

// setFlags reads (?i), (?i:…) and their like.
func (t *translation) setFlags() error {
	end := strings.IndexAny(t.rest(), ":)")
	if end < 0 {
		return errRegexpEnd
	}
	word, flags, on := t.in[t.pos:t.pos+end], t.flags, true
	pass := "(?"
	if rest, ok := strings.CutPrefix(word, "^"); ok {
		word, flags, pass = rest, patternFlags{}, "(?-ims"
		if rest != "" {
			return unsupported("(?^" + rest + ")")
		}
	}
	for i := range len(word) {
		switch c := word[i]; {
		case c == '-' && on:
			on, pass = false, pass+"-"
		case c == 'x':
			flags.extended, flags.more = on, on && (flags.more || i > 0 && word[i-1] == 'x')
		case c == 'i', c == 's', c == 'm':
			pass += string(c)
			if c == 'm' {
				flags.multiline = on
			}
		default:
			return unsupported("(?" + word + ")")
		}
	}
	t.pos += end + 1
	pass = strings.TrimSuffix(pass, "-")
	if t.in[t.pos-1] == ':' {
		t.push(pass + ":")
		t.flags = flags
		return nil
	}
	t.flags = flags
	if pass != "(?" {
		t.out = append(t.out, pass+")"...)
	}
	t.atom = -1
	return nil
}

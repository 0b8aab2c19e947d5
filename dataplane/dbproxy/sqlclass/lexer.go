package sqlclass

import (
	"math"
	"unicode/utf8"
)

// lexer cuts a statement into tokens. It allocates nothing and may be copied
// to look ahead.
type lexer struct {
	sql  []byte
	pos  int
	mode Mode
	last token // the token before

	inside  bool // within an executable comment
	marks   bool // give tokens for the marks of executable comments
	failed  bool
	space   int  // where the white space ended that followed the token before
	comment Span // the text of the first comment that is no hint to the server
	seen    bool // comment is set

	conditions
}

func newLexer(sql []byte, mode Mode) lexer {
	l := lexer{sql: sql, mode: mode}
	l.failed = len(sql) > math.MaxInt32 || mode.has(UnsafeCharset) && !ascii(sql)
	return l
}

func ascii(text []byte) bool {
	for _, c := range text {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// char sorts the bytes that words are made of.
var char = func() (table [256]bool) {
	for c := range 256 {
		table[c] = c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$'
	}
	return table
}()

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// at is the byte i places ahead, 0 at the end.
func (l *lexer) at(i int) byte {
	if l.pos+i < len(l.sql) {
		return l.sql[l.pos+i]
	}
	return 0
}

// next reads a token. After an error it reads nothing but errors.
func (l *lexer) next() token {
	before := l.pos
	if l.failed || !l.skip() {
		return l.fail(l.pos > before)
	}
	t := token{start: int32(l.pos), gap: l.pos > before, comment: l.pos > l.space}
	if l.pos >= len(l.sql) {
		if l.inside { // the executable comment is not closed
			return l.fail(t.gap)
		}
		t.end = t.start
		l.last = t
		return t
	}
	if !l.scan(&t) {
		return l.fail(t.gap)
	}
	t.end = int32(l.pos)
	if t.kind == kWord && !(l.last.is('.') && !t.gap) {
		t.kw = lookupKeyword(l.sql[t.start:t.end])
	}
	l.last = t
	return t
}

func (l *lexer) fail(gap bool) token {
	l.failed = true
	return token{kind: kError, gap: gap, start: int32(min(l.pos, math.MaxInt32)), end: int32(min(len(l.sql), math.MaxInt32))}
}

// scan reads the token that starts here.
func (l *lexer) scan(t *token) bool {
	c := l.sql[l.pos]
	if l.marks && (c == '/' && l.at(1) == '*' || c == '*' && l.at(1) == '/' && l.inside) {
		return l.mark(t)
	}
	afterDot := l.last.is('.') && !t.gap
	switch {
	case c == '\'' || c == '"' && !l.mode.has(ANSIQuotes):
		t.kind = kString
		return l.quoted(c, l.mode.escapes())
	case c == '`' || c == '"':
		t.kind = kQuoted
		return l.quoted(c, false)
	case c == '@':
		return l.variable(t)
	case isDigit(c) && !afterDot:
		return l.number(t)
	case c == '.' && isDigit(l.at(1)) && !(l.last.kind == kWord && !t.gap):
		t.kind = kNumber
		return l.fraction()
	case char[c]:
		return l.word(t, afterDot)
	case c == '?':
		t.kind = kParam
	case c == ':' && l.at(1) == '=':
		t.kind = kAssign
		l.pos++
	case c == '\\':
		if l.at(1) != 'N' {
			return false
		}
		t.kind = kNumber
		l.pos++
	case c < ' ' || c == 0x7f:
		return false
	default:
		t.kind, t.op = kOp, c
	}
	l.pos++
	return true
}

// quoted reads what stands between a quote here and its end.
func (l *lexer) quoted(quote byte, escapes bool) bool {
	for i := l.pos + 1; i < len(l.sql); i++ {
		switch c := l.sql[i]; {
		case c == quote:
			if i+1 < len(l.sql) && l.sql[i+1] == quote {
				i++
				continue
			}
			l.pos = i + 1
			return true
		case c == '\\' && escapes:
			i++
			// Whether the string ends here depends on the mode.
			if l.mode.has(UnknownSQLMode) && i < len(l.sql) && l.sql[i] == quote {
				return false
			}
		case c == 0 && quote == '`':
			return false
		}
	}
	return false
}

// run moves over the characters of a word, and refuses those of which it is
// not certain what the server takes them for.
func (l *lexer) run(start int, dots bool) bool {
	plain := true
	for l.pos < len(l.sql) && (char[l.sql[l.pos]] || dots && l.sql[l.pos] == '.') {
		plain = plain && l.sql[l.pos] < 0x80
		l.pos++
	}
	return plain || !l.mode.has(OtherCharset) && utf8.Valid(l.sql[start:l.pos])
}

func (l *lexer) word(t *token, afterDot bool) bool {
	start := l.pos
	t.kind = kWord
	// $tag$ may open a string (MySQL 9).
	if l.sql[start] == '$' || !l.run(start, false) {
		return false
	}
	if l.pos != start+1 || l.at(0) != '\'' || afterDot {
		return true
	}
	switch l.sql[start] | 0x20 {
	case 'n':
		t.kind = kString
		return l.quoted('\'', l.mode.escapes())
	case 'x':
		t.kind = kNumber
		return l.digits(isHex) && (l.pos-start-3)%2 == 0
	case 'b':
		t.kind = kNumber
		return l.digits(func(c byte) bool { return c == '0' || c == '1' })
	}
	return true
}

func isHex(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// digits reads the digits of a literal such as X'4D' from its quote on.
func (l *lexer) digits(valid func(byte) bool) bool {
	l.pos++
	for valid(l.at(0)) {
		l.pos++
	}
	l.pos++
	return l.pos <= len(l.sql) && l.sql[l.pos-1] == '\''
}

// number reads a number, or a name that starts with digits.
func (l *lexer) number(t *token) bool {
	start := l.pos
	t.kind = kNumber
	if prefix := l.at(1); l.at(0) == '0' && (prefix == 'x' || prefix == 'b') {
		l.pos += 2
		for l.pos < len(l.sql) && (prefix == 'x' && isHex(l.sql[l.pos]) || l.sql[l.pos]|1 == '1') {
			l.pos++
		}
		if l.pos == start+2 || char[l.at(0)] {
			t.kind = kWord
			return l.run(start, false)
		}
		return true
	}
	for isDigit(l.at(0)) {
		l.pos++
	}
	if l.at(0) == '.' {
		return l.fraction()
	}
	if l.exponent() || !char[l.at(0)] {
		return true
	}
	t.kind = kWord
	return l.run(start, false)
}

// fraction reads a number on from its point.
func (l *lexer) fraction() bool {
	l.pos++
	for isDigit(l.at(0)) {
		l.pos++
	}
	return l.exponent() || l.at(0)|0x20 != 'e'
}

// exponent reads an exponent if one stands here.
func (l *lexer) exponent() bool {
	if l.at(0)|0x20 != 'e' {
		return false
	}
	n := 1
	if l.at(1) == '+' || l.at(1) == '-' {
		n = 2
	}
	if !isDigit(l.at(n)) {
		return false
	}
	for l.pos += n; isDigit(l.at(0)); {
		l.pos++
	}
	return true
}

// variable reads a user or system variable.
func (l *lexer) variable(t *token) bool {
	start := l.pos
	l.pos++
	t.kind = kUserVar
	switch c := l.at(0); c {
	case '@':
		t.kind = kSysVar
		l.pos++
		if !l.part() {
			return false
		}
		for l.at(0) == '.' {
			l.pos++
			if !l.part() {
				return false
			}
		}
		return true
	case '\'', '"':
		return l.quoted(c, l.mode.escapes() && !(c == '"' && l.mode.has(ANSIQuotes)))
	case '`':
		return l.quoted(c, false)
	}
	return l.run(start+1, true) && l.pos > start+1
}

// part reads one part of a system variable's name.
func (l *lexer) part() bool {
	if l.at(0) == '`' {
		return l.quoted('`', false)
	}
	start := l.pos
	return l.run(start, false) && l.pos > start
}

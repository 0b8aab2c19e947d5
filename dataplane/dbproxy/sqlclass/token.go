package sqlclass

// kind is what a token is.
type kind uint8

const (
	kEOF     kind = iota
	kError        // the text cannot be read on from here
	kWord         // a bare word: a keyword or an identifier
	kQuoted       // an identifier in quotes
	kString       // a string, also N'…'
	kNumber       // a number, X'…', B'…' or \N
	kUserVar      // @name, @'name'
	kSysVar       // @@name, @@scope.name
	kParam        // ?
	kAssign       // :=
	kOp           // any other character, one at a time
	kOpen         // the start of an executable comment, only if asked for
	kClose        // its end
)

// token is a piece of a statement, as offsets into its text.
type token struct {
	kind kind
	op   byte    // the character of a kOp
	kw   keyword // of a bare word that does not follow a dot
	gap  bool    // white space or a comment stands before it
	// comment: what stands before it is not white space alone.
	comment    bool
	start, end int32
}

func (t token) is(op byte) bool { return t.kind == kOp && t.op == op }

// named tells whether the token can be the name of something.
func (t token) named() bool { return t.kind == kWord || t.kind == kQuoted }

// ends tells whether a statement ends at the token.
func (t token) ends() bool { return t.kind == kEOF || t.kind == kError || t.is(';') }

// Span is a part of a statement's text. A name or a string keeps its quotes.
type Span struct{ Start, End int32 }

func (t token) span() Span { return Span{t.start, t.end} }

// Empty tells whether the span holds nothing.
func (s Span) Empty() bool { return s.Start >= s.End }

// Raw is the text as it stands in the statement.
func (s Span) Raw(sql []byte) []byte { return sql[s.Start:s.End] }

// Value is the name or string meant by the text: without its quotes, and
// without what stands there to escape. It shares memory with the statement
// unless something was escaped.
func (s Span) Value(sql []byte, mode Mode) []byte {
	raw := s.Raw(sql)
	if len(raw) > 1 && raw[0] == '@' && raw[1] != '@' {
		raw = raw[1:]
	}
	if len(raw) > 1 && (raw[0] == 'n' || raw[0] == 'N') && raw[1] == '\'' {
		raw = raw[1:]
	}
	if len(raw) < 2 {
		return raw
	}
	quote := raw[0]
	if quote != '\'' && quote != '"' && quote != '`' {
		return raw
	}
	escapes := quote != '`' && mode.escapes() && !(quote == '"' && mode.has(ANSIQuotes))
	return unquote(raw[1:len(raw)-1], quote, escapes)
}

func unquote(text []byte, quote byte, escapes bool) []byte {
	plain := true
	for _, c := range text {
		if c == quote || escapes && c == '\\' {
			plain = false
			break
		}
	}
	if plain {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == quote && i+1 < len(text):
			i++
		case c == '\\' && escapes && i+1 < len(text):
			i++
			c = text[i]
			if c == '%' || c == '_' { // these keep their backslash
				out = append(out, '\\')
			}
			if j := indexByte("0nrtbZ", c); j >= 0 {
				c = "\x00\n\r\t\b\x1a"[j]
			}
		}
		out = append(out, c)
	}
	return out
}

func indexByte(s string, c byte) int {
	for i := range len(s) {
		if s[i] == c {
			return i
		}
	}
	return -1
}

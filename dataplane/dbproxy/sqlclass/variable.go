package sqlclass

// Scope is which value of a system variable is meant.
type Scope uint8

const (
	// ScopeNone: none is given, which means the session's, and with @@ that
	// of the next transaction where there is such a thing.
	ScopeNone Scope = iota
	ScopeSession
	ScopeGlobal
)

// splitSysVar splits @@scope.name. Of a name with more parts it gives the
// last one.
func splitSysVar(text []byte) (Scope, []byte) {
	text = text[2:]
	scope := ScopeNone
	for i := 0; i < len(text); i++ {
		if text[i] != '.' {
			continue
		}
		switch part := bare(text[:i]); {
		case same(part, "global"), same(part, "persist"), same(part, "persist_only"):
			scope = ScopeGlobal
		case same(part, "session"), same(part, "local"):
			scope = ScopeSession
		}
		text, i = text[i+1:], -1
	}
	return scope, bare(text)
}

// bare takes the quotes from a name.
func bare(name []byte) []byte {
	if len(name) > 1 && (name[0] == '`' || name[0] == '"') {
		return name[1 : len(name)-1]
	}
	return name
}

// set reads SET.
func (s *scanner) set() {
	s.advance()
	c := &s.class
	c.Op = OpSet
	scope := s.scope()
	if s.tok.kw == kwTransaction {
		s.setTransaction(scope)
		return
	}
	if scope == ScopeNone && s.skipWord("statement") {
		s.setStatement()
		return
	}
	c.Type |= TypeSessionWrite
	for {
		s.assignment(scope)
		if !s.tok.is(',') {
			break
		}
		s.advance()
		scope = s.scope()
	}
	if c.Is(TypeDisableAutocommit) {
		c.Type &^= TypeEnableAutocommit | TypeCommit
	}
	s.end()
}

// scope reads GLOBAL, SESSION and their like.
func (s *scanner) scope() Scope {
	switch {
	case s.skipKeyword(kwGlobal), s.skipKeyword(kwPersist):
		return ScopeGlobal
	case s.skipKeyword(kwSession), s.skipKeyword(kwLocal):
		return ScopeSession
	}
	return ScopeNone
}

// assignment reads one of the assignments of SET.
func (s *scanner) assignment(scope Scope) {
	c := &s.class
	switch {
	case s.tok.kind == kUserVar:
		c.Type |= TypeUserVarWrite
		name := s.tok.span()
		s.advance()
		s.prev = token{} // neither read nor observed
		s.value()
		s.assigned(Assignment{User: true, Name: name, Value: s.valued})
	case s.tok.kind == kSysVar:
		var name []byte
		scope, name = splitSysVar(s.bytes(s.tok))
		s.advance()
		s.prev = token{}
		s.sysVarSet(scope, name, true)
		s.assigned(Assignment{Scope: scope, Name: s.spanOf(name), Value: s.valued})
	case s.word("password"):
		s.accounts = true
		c.Op = OpSetPassword
		c.Type |= TypeWrite
		s.value()
	case s.word("default"): // SET DEFAULT ROLE
		s.accounts = true
		c.Op = OpSetPassword
		c.Type |= TypeWrite
		s.value()
	case s.word("names"), s.word("charset"), s.word("character"):
		c.Flags |= FlagSetsCharset
		c.Type |= TypeSysVarWrite
		name := s.tok.span()
		s.advance()
		s.skipKeyword(kwSet)
		s.value()
		s.assigned(Assignment{Name: name, Value: s.valued})
	case s.word("role"), s.word("resource"):
		s.value()
	case s.tok.named():
		name := bare(s.bytes(s.tok))
		s.advance()
		if s.tok.is('.') { // a part of a structured variable, or NEW.column
			s.advance()
			name = bare(s.bytes(s.tok))
			s.advance()
		}
		s.sysVarSet(scope, name, false)
		s.assigned(Assignment{Scope: scope, Name: s.spanOf(name), Value: s.valued})
	default:
		s.unknown()
	}
}

// value observes an assignment up to its end. It gives the first token of the
// value, and whether that is all of it.
func (s *scanner) value() (first token, single bool) {
	if s.tok.is('=') || s.tok.kind == kAssign {
		s.advance()
	}
	first = s.tok
	n := 0
	s.valued = Span{first.start, first.start}
	for depth := s.depth; !s.tok.ends() && (s.depth != depth || !s.tok.is(',')); n++ {
		s.valued.End = s.tok.end
		s.take()
	}
	s.observe() // what stands before the end or the comma
	return first, n == 1
}

// sysVarSet reads the value for a system variable; at tells that it was named
// with @@.
func (s *scanner) sysVarSet(scope Scope, name []byte, at bool) {
	c := &s.class
	if !s.tok.is('=') && s.tok.kind != kAssign {
		s.unknown()
	}
	value, single := s.value()
	on, known := s.truth(value, single)
	if scope == ScopeGlobal {
		c.Type |= TypeGSysVarWrite
		return
	}
	c.Type |= TypeSysVarWrite
	switch {
	case same(name, "autocommit"):
		if on && known {
			c.Type |= TypeEnableAutocommit | TypeCommit
		} else {
			c.Type |= TypeDisableAutocommit | TypeBeginTrx
		}
	case same(name, "tx_read_only"), same(name, "transaction_read_only"):
		if on && known {
			c.Type |= TypeReadOnly
		} else {
			c.Type |= TypeReadWrite
		}
		if at && scope == ScopeNone {
			c.Type |= TypeNextTrx
		}
	case same(name, "tx_isolation"), same(name, "transaction_isolation"):
		c.Flags |= FlagSetsIsolation
		if !single || value.kind != kString && value.kind != kWord || hasWord(s.bytes(value), "serializable") {
			c.Flags |= FlagSerializable
		}
		if at && scope == ScopeNone {
			c.Type |= TypeNextTrx
		}
	case same(name, "sql_mode"):
		c.Flags |= FlagSetsSQLMode
	case same(name, "character_set_client"):
		c.Flags |= FlagSetsCharset
	}
}

// truth tells whether a value is on, and whether that is certain.
func (s *scanner) truth(value token, single bool) (on, known bool) {
	if !single {
		return false, false
	}
	switch text := s.bytes(value); value.kind {
	case kNumber:
		return same(text, "1"), same(text, "1") || same(text, "0")
	case kWord:
		return same(text, "on") || same(text, "true"), true
	case kString:
		return same(text[1:len(text)-1], "on") || same(text[1:len(text)-1], "1"), true
	}
	return false, false
}

// hasWord tells whether a text is the word, in quotes or not.
func hasWord(text []byte, word string) bool {
	if len(text) > 1 && (text[0] == '\'' || text[0] == '"') {
		text = text[1 : len(text)-1]
	}
	return same(text, word)
}

// setStatement reads SET STATEMENT variables FOR a statement.
func (s *scanner) setStatement() {
	c := &s.class
	c.Flags |= FlagSetStatement
	for depth := s.depth; !s.tok.ends(); s.take() {
		if s.word("sql_mode") || s.word("character_set_client") {
			s.unknown()
			return
		}
		if s.tok.kw == kwFor && s.depth == depth && s.prev.kw != kwValue {
			break
		}
	}
	s.nested++
	if s.tok.ends() || s.nested > 3 {
		s.unknown()
		return
	}
	s.advance()
	s.statement()
}

// Assignment is an assignment to a variable.
type Assignment struct {
	// User: to a user variable. The others are to a system variable, or to
	// NAMES, CHARSET or CHARACTER SET.
	User  bool
	Scope Scope
	// Name is the variable's, with the @ of a user variable.
	Name Span
	// Value is the expression assigned by SET, empty elsewhere.
	Value Span
}

// AppendAssignments appends the assignments that a statement makes: those of
// SET, and those of user variables by := and INTO.
func AppendAssignments(dst []Assignment, sql []byte, mode Mode) []Assignment {
	s := scanner{lex: newLexer(sql, mode), tableArgs: -1, assigns: true, assignments: dst}
	s.advance()
	s.statement()
	s.rest()
	return s.assignments
}

func (s *scanner) assigned(a Assignment) {
	if !s.assigns {
		return
	}
	if n := len(s.assignments); n > 0 && s.assignments[n-1] == a {
		return // the end of a value is looked at twice
	}
	s.assignments = append(s.assignments, a)
}

// spanOf is where a part of the statement stands.
func (s *scanner) spanOf(part []byte) Span {
	start := int32(cap(s.lex.sql) - cap(part))
	return Span{start, start + int32(len(part))}
}

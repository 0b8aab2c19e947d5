package sqlclass

// observe draws from the token what can be seen wherever it stands.
func (s *scanner) observe() {
	t := s.tok
	if s.prev.kind == kUserVar && !s.accounts {
		s.userVar()
	}
	if s.needsArgs && s.prev.is('(') {
		s.needsArgs = false
		if t.is(')') {
			s.unknownFunction()
		}
	}
	if s.reads && (s.prev.kw == kwInsert || s.prev.kw == kwReplace) && !t.is('(') {
		s.unknown() // not the functions of that name
	}
	if s.into {
		s.into = t.kind == kUserVar || t.is(',')
	}
	switch t.kind {
	case kOp:
		s.operator(t)
	case kSysVar:
		s.sysVar(t)
	case kWord:
		if t.kw != kwNone {
			s.keyword(t)
		} else if s.prev.is('.') {
			s.member(t)
		}
	case kUserVar, kQuoted, kString, kNumber, kParam, kAssign, kEOF, kError, kOpen, kClose:
	}
	if s.prev.kw == kwInto && s.reads {
		s.intoTarget(t)
	}
}

// userVar tells what is done with the variable before the token.
func (s *scanner) userVar() {
	if s.tok.kind == kAssign || s.into {
		s.class.Type |= TypeUserVarWrite
		s.assigned(Assignment{User: true, Name: s.prev.span()})
	} else {
		s.class.Type |= TypeUserVarRead
	}
}

func (s *scanner) operator(t token) {
	switch t.op {
	case '(':
		s.call()
		s.depth++
	case ')':
		s.depth--
		if s.depth < s.tableArgs {
			s.tableArgs = -1
			s.unknownFunction()
		}
	case '.':
		if s.prev.kind == kSysVar {
			// @@session .autocommit: the name is not where it was looked for.
			s.unknown()
		}
	}
}

// call looks whether the parenthesis here calls a function, and which.
func (s *scanner) call() {
	name := s.prev
	switch name.kind {
	case kWord:
	case kQuoted, kString:
		if s.prev2.kw != kwAs && s.prev2.kw != kwWith && s.prev2.kw != kwRecursive {
			s.unknownFunction()
		}
		return
	case kEOF, kError, kNumber, kUserVar, kSysVar, kParam, kAssign, kOp, kOpen, kClose:
		return
	}
	switch {
	case name.kw.has(beforeParen):
	case s.prev2.is('.'):
		s.unknownFunction()
	case s.prev2.kw == kwAs || s.prev2.kw == kwWith || s.prev2.kw == kwRecursive:
		// A type, or the columns of an alias or a table expression.
	case name.kw == kwColumns && s.prev2.kind == kString:
		if s.depth == s.tableArgs {
			s.tableArgs = -1
		}
	case name.kw == kwAgainst && s.prev2.is(')'):
	default:
		s.function(s.bytes(name))
	}
}

func (s *scanner) function(name []byte) {
	f, ok := s.lex.mode.builtIn(name, s.tok)
	if !ok {
		s.unknownFunction()
		return
	}
	const plain = fnEveryone | fnTight
	if f&^plain != 0 {
		s.special(f)
	}
	// JSON_TABLE is built in only as a table: that it has COLUMNS.
	if same(name, "json_table") {
		if s.tableArgs >= 0 {
			s.unknownFunction()
		}
		s.tableArgs = s.depth + 1
	}
}

// special notes what a built-in function does besides computing.
func (s *scanner) special(f function) {
	c := &s.class
	if f&fnVarying != 0 {
		c.Flags |= FlagVarying
	}
	if f&fnMaster != 0 {
		c.Type |= TypeMasterRead
	}
	if f&fnInsertID != 0 {
		c.Flags |= FlagInsertID
	}
	if f&fnLock != 0 {
		c.Flags |= FlagUserLock
	}
	if f&fnPrevious != 0 {
		c.Flags |= FlagPrevious
	}
	if f&fnSequence != 0 {
		c.Flags |= FlagSequence
	}
	if f&fnWrite != 0 {
		c.Type |= TypeWrite
	}
	if f&fnWait != 0 {
		c.Flags |= FlagWaits
	}
	s.needsArgs = f&fnArgs != 0
}

func (s *scanner) unknownFunction() {
	if s.writes {
		return // lists of columns look the same
	}
	s.class.Type |= TypeWrite
	s.class.Flags |= FlagUnknownFunction
}

func (s *scanner) sysVar(t token) {
	scope, name := splitSysVar(s.bytes(t))
	c := &s.class
	c.Flags |= FlagVarying
	if scope == ScopeGlobal {
		c.Type |= TypeGSysVarRead
	} else {
		c.Type |= TypeSysVarRead
	}
	switch {
	case same(name, "last_insert_id"), same(name, "identity"):
		c.Type |= TypeMasterRead
		c.Flags |= FlagInsertID
	case same(name, "last_gtid"), same(name, "insert_id"):
		c.Type |= TypeMasterRead
	case same(name, "warning_count"), same(name, "error_count"):
		c.Flags |= FlagPrevious
	}
}

// member looks at a word behind a dot.
func (s *scanner) member(t token) {
	switch word := s.bytes(t); {
	case same(word, "nextval"):
		s.class.Type |= TypeWrite
		s.class.Flags |= FlagSequence | FlagVarying
	case same(word, "currval"):
		s.class.Type |= TypeMasterRead
		s.class.Flags |= FlagSequence | FlagVarying
	}
}

func (s *scanner) keyword(t token) {
	c := &s.class
	if s.reads && t.kw.has(outOfPlace) && !(t.kw == kwUpdate && s.prev.kw == kwFor) {
		s.unknown()
	}
	switch t.kw {
	case kwNow:
		c.Flags |= FlagVarying
	case kwLock:
		s.locking()
	case kwUpdate, kwShare:
		if s.prev.kw == kwFor {
			s.locking()
		}
	case kwFor:
		s.sequence()
	case kwUnion:
		c.Flags |= FlagUnion
	case kwSelect:
		if s.depth > 0 {
			c.Flags |= FlagSubquery
		}
	case kwReturning:
		c.Flags |= FlagReturning
	case kwProcedure:
		if s.reads {
			s.unknown()
		}
	}
}

// locking notes that a SELECT locks what it reads.
func (s *scanner) locking() {
	if s.reads {
		s.class.Flags |= FlagLocking
		s.class.Type |= TypeMasterRead
	}
}

// sequence looks for NEXT VALUE FOR and PREVIOUS VALUE FOR.
func (s *scanner) sequence() {
	if s.prev.kw != kwValue {
		return
	}
	s.class.Flags |= FlagSequence | FlagVarying
	if s.prev2.kw == kwPrevious {
		s.class.Type |= TypeMasterRead
	} else {
		s.class.Type |= TypeWrite
	}
}

// intoTarget looks at what stands behind the INTO of a query.
func (s *scanner) intoTarget(t token) {
	s.class.Type |= TypeSessionWrite
	switch {
	case t.kind == kUserVar:
		s.class.Flags |= FlagSelectInto
		s.into = true
	case t.kw == kwDump:
		s.class.Flags |= FlagSelectIntoFile
	default:
		s.unknown()
	}
}

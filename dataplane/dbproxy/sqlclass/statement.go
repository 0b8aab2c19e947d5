package sqlclass

// use reads USE database.
func (s *scanner) use() {
	s.begin(OpChangeDB, TypeSessionWrite)
	if !s.tok.named() {
		s.unknown()
		return
	}
	s.class.Name = s.tok.span()
	s.advance()
	s.end()
}

// kill reads KILL [HARD|SOFT] [CONNECTION|QUERY [ID]] id, or USER name.
func (s *scanner) kill() {
	s.write(OpKill)
	s.accounts = true
	if !s.skipWord("hard") {
		s.skipWord("soft")
	}
	kind, user := KillConnection, KillUser
	if s.skipWord("query") {
		kind, user = KillQuery, KillQueryUser
		if s.skipWord("id") {
			kind = KillQueryID
		}
	} else {
		s.skipWord("connection")
	}
	switch {
	case kind != KillQueryID && s.word("user"):
		s.advance()
		if s.tok.named() || s.tok.kind == kString {
			s.class.Name, s.class.Kill = s.tok.span(), user
		}
	case s.tok.kind == kNumber:
		id, ok := decimal(s.bytes(s.tok))
		if ok {
			s.class.Kill, s.class.KillID = kind, id
		}
		s.advance()
		if !s.tok.ends() {
			s.class.Kill, s.class.KillID = KillNone, 0
		}
	}
}

func decimal(digits []byte) (n uint64, ok bool) {
	for _, c := range digits {
		d := uint64(c - '0')
		if !isDigit(c) || n > (1<<64-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}

// prepared reads PREPARE, EXECUTE and DEALLOCATE PREPARE.
func (s *scanner) prepared() {
	switch s.tok.kw {
	case kwPrepare:
		s.begin(OpPrepare, TypePrepareNamed)
		if !s.preparedName() || !s.skipKeyword(kwFrom) {
			s.unknown()
			return
		}
		s.literal()
	case kwExecute:
		s.begin(OpExecute, TypeExecNamed)
		if s.word("immediate") {
			// Named so, unless a statement of that name is executed.
			name := s.tok
			s.advance()
			if !s.tok.ends() && s.tok.kw != kwUsing {
				s.class.Op = OpExecuteImmediate
				s.class.Type = TypeWrite
				s.literal()
				return
			}
			s.class.Name = name.span()
			return
		}
		if !s.preparedName() {
			s.unknown()
		} else if !s.tok.ends() && s.tok.kw != kwUsing {
			s.unknown()
		}
	case kwDeallocate:
		s.begin(OpDeallocate, TypeDeallocPrepare)
		s.deallocate()
	}
}

func (s *scanner) deallocate() {
	if !s.skipKeyword(kwPrepare) || !s.preparedName() {
		s.unknown()
		return
	}
	s.end()
}

func (s *scanner) preparedName() bool {
	if !s.tok.named() {
		return false
	}
	s.class.Name = s.tok.span()
	s.advance()
	return true
}

// literal takes the text to prepare if it is one string and nothing else.
func (s *scanner) literal() {
	first := s.tok
	s.take()
	if first.kind == kString && (s.tok.ends() || s.tok.kw == kwUsing) {
		s.class.Text = first.span()
	}
}

// define reads CREATE, DROP, ALTER and RENAME.
func (s *scanner) define() {
	verb := s.tok.kw
	s.write(OpUnknown)
	s.accounts = true
	switch verb {
	case kwCreate:
		s.create()
	case kwDrop:
		s.drop()
	case kwAlter:
		s.class.Op = OpAlter
		for s.word("online") || s.word("offline") || s.tok.kw == kwIgnore {
			s.advance()
		}
		if s.tok.kw == kwTable {
			s.class.Op = OpAlterTable
		}
	case kwRename:
		s.class.Op = OpRenameTable
		if s.word("user") {
			s.class.Op = OpRenameUser
		}
	}
}

// create reads what is made; what stands before does not matter much.
func (s *scanner) create() {
	c := &s.class
	c.Op = OpCreate
	temporary := false
	for ; !s.tok.ends(); s.advance() {
		switch {
		case s.word("temporary"):
			temporary = true
			continue
		case s.tok.kw == kwTable:
			c.Op = OpCreateTable
		case s.word("sequence"):
			c.Op = OpCreateSequence
		case s.word("view"):
			c.Op = OpCreateView
		case s.word("index"):
			c.Op = OpCreateIndex
		case s.word("database"), s.word("schema"):
			c.Op = OpCreateDatabase
		case s.word("user"):
			c.Op = OpCreateUser
		case s.word("role"):
			c.Op = OpCreateRole
		case s.tok.kw == kwProcedure, s.word("function"), s.word("trigger"), s.word("event"), s.word("package"):
			c.Op = OpCreateRoutine
		case s.word("server"), s.word("tablespace"), s.word("logfile"), s.word("undo"), s.word("resource"), s.word("spatial"):
		default:
			continue
		}
		break
	}
	if temporary {
		c.Type |= TypeCreateTmpTable
		s.advance()
		s.tableName()
	}
}

// tableName reads [IF NOT EXISTS] [database.]name.
func (s *scanner) tableName() {
	if s.skipWord("if") {
		s.skipWord("not")
		s.skipWord("exists")
	}
	if !s.tok.named() && s.tok.kind != kString {
		return
	}
	s.class.Name = s.tok.span()
	s.advance()
	if s.tok.is('.') {
		s.advance()
		s.class.Database, s.class.Name = s.class.Name, s.tok.span()
		s.advance()
	}
}

func (s *scanner) drop() {
	c := &s.class
	c.Op = OpDrop
	if s.tok.kw == kwPrepare {
		c.Op, c.Type = OpDeallocate, TypeDeallocPrepare
		s.writes = false
		s.deallocate()
		return
	}
	s.skipWord("temporary")
	if s.tok.kw == kwTable || s.word("tables") {
		c.Op = OpDropTable
	}
}

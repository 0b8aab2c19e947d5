package sqlclass

// transaction reads the statements that begin and end transactions.
func (s *scanner) transaction() {
	switch s.tok.kw {
	case kwBegin:
		s.begin(OpBegin, TypeBeginTrx)
		s.skipKeyword(kwWork)
		if !s.tok.ends() { // BEGIN NOT ATOMIC, or a block of Oracle's
			s.class.Type = TypeWrite
			s.class.Op = OpCompound
			s.writes = true
		}
	case kwStart:
		s.start()
	case kwCommit:
		s.begin(OpCommit, TypeCommit)
		s.completion()
	case kwRollback:
		s.rollback()
	case kwSavepoint:
		s.begin(OpSavepoint, TypeMasterRead)
		s.savepoint()
	case kwRelease:
		s.begin(OpReleaseSavepoint, TypeMasterRead)
		if !s.skipKeyword(kwSavepoint) {
			s.unknown()
			return
		}
		s.savepoint()
	case kwXA:
		s.xa()
	}
}

func (s *scanner) start() {
	s.advance()
	if !s.skipKeyword(kwTransaction) {
		s.writes = true
		s.class.Type |= TypeWrite
		s.class.Op = OpStartReplica
		return
	}
	s.class.Op = OpBegin
	s.class.Type |= TypeBeginTrx
	for !s.tok.ends() {
		switch {
		case s.skipKeyword(kwWith):
			if !s.skipWord("consistent") || !s.skipWord("snapshot") {
				s.unknown()
				return
			}
		case s.word("read"):
			s.access()
		default:
			s.unknown()
			return
		}
		if !s.tok.is(',') {
			break
		}
		s.advance()
	}
	s.bothAccesses()
	s.end()
}

// access reads READ ONLY or READ WRITE.
func (s *scanner) access() {
	s.advance()
	switch {
	case s.skipWord("only"):
		s.class.Type |= TypeReadOnly
	case s.skipWord("write"):
		s.class.Type |= TypeReadWrite
	default:
		s.unknown()
	}
}

// bothAccesses refuses a transaction that is to be both.
func (s *scanner) bothAccesses() {
	if s.class.Is(TypeReadOnly) && s.class.Is(TypeReadWrite) {
		s.class.Type &^= TypeReadOnly
		s.unknown()
	}
}

// completion reads WORK, AND CHAIN and RELEASE.
func (s *scanner) completion() {
	s.skipKeyword(kwWork)
	if s.skipWord("and") {
		no := s.skipWord("no")
		if !s.skipWord("chain") {
			s.unknown()
			return
		}
		if !no {
			s.class.Type |= TypeBeginTrx
		}
	}
	no := s.skipWord("no")
	if s.skipKeyword(kwRelease) {
		if !no {
			s.class.Flags |= FlagRelease
		}
	} else if no {
		s.unknown()
	}
	s.end()
}

func (s *scanner) rollback() {
	s.advance()
	s.skipKeyword(kwWork)
	if s.skipWord("to") {
		s.class.Op = OpRollbackTo
		s.class.Type |= TypeMasterRead
		s.skipKeyword(kwSavepoint)
		s.savepoint()
		return
	}
	s.class.Op = OpRollback
	s.class.Type |= TypeRollback
	s.completion()
}

// savepoint reads the name of one.
func (s *scanner) savepoint() {
	if !s.tok.named() {
		s.unknown()
		return
	}
	s.class.Name = s.tok.span()
	s.advance()
	s.end()
}

// xa reads a step of a distributed transaction. From START to END it counts
// as a transaction.
func (s *scanner) xa() {
	s.write(OpXA)
	switch {
	case s.tok.kw == kwStart, s.tok.kw == kwBegin:
		s.class.Type |= TypeBeginTrx | TypeReadWrite
	case s.tok.kw == kwEnd:
		s.class.Type |= TypeCommit
	}
}

// setTransaction reads SET TRANSACTION.
func (s *scanner) setTransaction(scope Scope) {
	s.advance()
	c := &s.class
	c.Op = OpSetTransaction
	switch scope {
	case ScopeGlobal:
		c.Type |= TypeGSysVarWrite | TypeSessionWrite
	case ScopeNone:
		c.Type |= TypeSessionWrite | TypeNextTrx
	case ScopeSession:
		c.Type |= TypeSessionWrite
	}
	for {
		switch {
		case s.word("read"):
			s.access()
		case s.skipWord("isolation") && s.skipWord("level"):
			s.isolation()
		default:
			s.unknown()
			return
		}
		if !s.tok.is(',') {
			break
		}
		s.advance()
	}
	s.bothAccesses()
	if scope == ScopeGlobal { // nothing changes for this session
		c.Type &^= TypeReadOnly | TypeReadWrite
		c.Flags &^= FlagSetsIsolation | FlagSerializable
	}
	s.end()
}

func (s *scanner) isolation() {
	s.class.Flags |= FlagSetsIsolation
	switch {
	case s.skipWord("serializable"):
		s.class.Flags |= FlagSerializable
	case s.skipWord("repeatable") && s.skipWord("read"):
	case s.skipWord("read") && (s.skipWord("committed") || s.skipWord("uncommitted")):
	default:
		s.unknown()
	}
}

package sqlclass

// show reads SHOW.
func (s *scanner) show() {
	s.begin(OpShow, TypeRead)
	s.accounts = true // SHOW GRANTS FOR user@host
	for s.word("full") || s.word("extended") || s.word("all") || s.word("open") ||
		s.tok.kw == kwGlobal || s.tok.kw == kwSession || s.tok.kw == kwLocal {
		s.advance()
	}
	c := &s.class
	var buffer [longestKeyword]byte
	word := s.bytes(s.tok)
	if s.tok.kind != kWord || len(word) > len(buffer) {
		return
	}
	switch string(lower(buffer[:], word)) {
	case "databases", "schemas":
		c.Op = OpShowDatabases
		c.Type |= TypeShowDatabases
	case "tables":
		c.Type |= TypeShowTables
	case "master", "binary", "binlog", "replicas", "explain", "analyze":
		c.Type |= TypeMasterRead
	case "slave", "replica":
		s.advance()
		if s.word("hosts") {
			c.Type |= TypeMasterRead
		}
	case "warnings", "errors", "profile", "profiles":
		c.Flags |= FlagPrevious
	case "count":
		// SHOW COUNT(*) WARNINGS
		c.Flags |= FlagPrevious
		s.advance()
		s.prev = token{}
	}
}

// explain reads EXPLAIN, DESCRIBE, DESC and ANALYZE.
func (s *scanner) explain() {
	runs := s.tok.kw == kwAnalyze
	if runs {
		s.advance()
		if s.tok.kw == kwTable || s.tok.kw == kwLocal || s.word("no_write_to_binlog") {
			s.writes = true
			s.class.Op = OpAnalyzeTable
			s.class.Type |= TypeWrite
			return
		}
	} else {
		s.advance()
	}
	s.class.Op = OpExplain
	runs, table := s.explainOptions(runs)
	if s.tok.is('(') || explainable(s.tok.kw) {
		s.explained(runs)
		return
	}
	s.class.Type |= TypeRead
	switch {
	case s.tok.kw == kwFor: // FOR CONNECTION id
		s.class.Type |= TypeMasterRead
	case runs || !table && !s.tok.named() && s.tok.kind != kString:
		s.unknown()
	}
}

// explainOptions reads them. It tells whether one of them is ANALYZE, and
// whether the last may be the name of a table instead.
func (s *scanner) explainOptions(analyze bool) (runs, table bool) {
	for {
		switch {
		case s.tok.kw == kwAnalyze:
			analyze = true
			s.advance()
		case s.word("extended"), s.word("partitions"):
			table = true
			s.advance()
		case s.word("format"):
			table = true
			s.advance()
			if s.tok.is('=') {
				s.advance()
				s.advance()
			}
		default:
			return analyze, table
		}
	}
}

func explainable(k keyword) bool {
	switch k {
	case kwSelect, kwWith, kwValues, kwTable, kwInsert, kwReplace, kwUpdate, kwDelete:
		return true
	}
	return false
}

// explained reads the statement that is explained, and run if so told.
func (s *scanner) explained(runs bool) {
	c := &s.class
	flags := c.Flags
	s.statement()
	s.rest()
	c.Op = OpExplain
	if runs {
		return
	}
	// Servers ask for the rights of the statement, and those that are read
	// only refuse to explain a write.
	changes := c.Is(TypeWrite | TypeMasterRead | TypeSessionWrite | TypeUserVarWrite)
	c.Type = c.Type&(TypeUserVarRead|TypeSysVarRead|TypeGSysVarRead) | TypeRead
	if changes {
		c.Type |= TypeMasterRead
	}
	c.Flags = flags | c.Flags&(FlagUnknownFunction|FlagVarying|FlagSubquery|FlagUnion)
}

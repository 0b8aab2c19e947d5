package sqlclass

// Classify says what a statement does. It takes time in proportion to the
// text, and allocates nothing.
func Classify(sql []byte, mode Mode) Class {
	class, met, mixed := classify(sql, mode, false)
	if !met {
		return class
	}
	// What stands in a comment for some versions only is run or not: what
	// the statement does is certain only if that makes no difference.
	without, _, _ := classify(sql, mode, true)
	switch {
	case mixed:
	case without.Op == OpNone:
		return class // left out, nothing remains that could do anything
	case class.Op == OpNone:
		return without
	case class.Type == without.Type && class.Op == without.Op && class.Flags == without.Flags && class.Kill == without.Kill:
		return class
	}
	class.Type |= without.Type | TypeWrite
	class.Flags |= without.Flags | FlagConditional
	return class
}

func classify(sql []byte, mode Mode, without bool) (class Class, met, mixed bool) {
	s := scanner{lex: newLexer(sql, mode), tableArgs: -1}
	s.lex.without = without
	s.advance()
	s.statement()
	s.rest()
	if s.tok.is(';') {
		s.more()
	}
	if s.tok.kind == kError {
		s.unknown()
		s.class.Flags |= FlagInvalid
	}
	s.class.Comment = s.lex.comment
	return s.class, s.lex.met, s.lex.mixed
}

// scanner reads one statement into its class.
type scanner struct {
	lex   lexer
	class Class
	tok   token // the one that is looked at
	prev  token
	prev2 token // before prev
	depth int   // of parentheses

	reads     bool // the statement reads, unless something says that it writes
	writes    bool // the statement writes, whatever it calls
	accounts  bool // @ stands between a user and a host
	into      bool // within the variables after INTO
	needsArgs bool // a call must have arguments to be that of a built-in function
	tableArgs int  // the depth within JSON_TABLE( before its COLUMNS, or -1
	nested    int  // statements around this one
	valued    Span // the value of the assignment before

	assigns     bool // collect the assignments
	assignments []Assignment
}

// advance looks at the next token.
func (s *scanner) advance() {
	s.prev2, s.prev = s.prev, s.tok
	s.tok = s.lex.next()
}

// take observes the token and looks at the next one.
func (s *scanner) take() {
	s.observe()
	s.advance()
}

// rest observes all that is left of the statement.
func (s *scanner) rest() {
	for !s.tok.ends() {
		s.take()
	}
	s.observe()
}

// end expects the end of the statement.
func (s *scanner) end() {
	if !s.tok.ends() {
		s.unknown()
	}
}

// more looks whether anything follows a semicolon.
func (s *scanner) more() {
	s.advance()
	if s.tok.kind == kEOF {
		return
	}
	s.class.Flags |= FlagMulti
	for s.tok.kind != kEOF && s.tok.kind != kError {
		s.advance()
	}
}

// unknown makes the statement one that is not understood.
func (s *scanner) unknown() {
	s.class.Type |= TypeWrite
	s.class.Op = OpUnknown
}

func (s *scanner) bytes(t token) []byte { return s.lex.sql[t.start:t.end] }

// word tells whether the token is a bare word, given in lower case.
func (s *scanner) word(want string) bool {
	return s.tok.kind == kWord && same(s.bytes(s.tok), want)
}

// skipWord moves over a word if it stands here.
func (s *scanner) skipWord(want string) bool {
	if !s.word(want) {
		return false
	}
	s.advance()
	return true
}

// skipKeyword moves over a keyword if it stands here.
func (s *scanner) skipKeyword(k keyword) bool {
	if s.tok.kw != k {
		return false
	}
	s.advance()
	return true
}

// begin sets what most statements consist of.
func (s *scanner) begin(op Op, t Type) {
	s.class.Op = op
	s.class.Type |= t
	s.advance()
}

// write begins a statement that writes, whatever it says.
func (s *scanner) write(op Op) {
	s.writes = true
	s.begin(op, TypeWrite)
}

// statement reads a statement up to where nothing but observing is left.
func (s *scanner) statement() {
	if s.tok.is('(') {
		s.parenthesized()
		return
	}
	switch s.tok.kw {
	case kwSelect, kwValues:
		s.query()
	case kwTable:
		s.query()
	case kwWith:
		s.with()
	case kwInsert, kwReplace, kwUpdate, kwDelete, kwLoad, kwTruncate, kwCall, kwDo:
		s.change()
	case kwSet:
		s.set()
	case kwShow:
		s.show()
	case kwExplain, kwDesc, kwAnalyze:
		s.explain()
	case kwBegin, kwStart, kwCommit, kwRollback, kwSavepoint, kwRelease, kwXA:
		s.transaction()
	case kwPrepare, kwExecute, kwDeallocate:
		s.prepared()
	case kwCreate, kwDrop, kwAlter, kwRename:
		s.define()
	default:
		s.other()
	}
}

// query reads a SELECT, VALUES or TABLE.
func (s *scanner) query() {
	s.reads = true
	s.class.Op = OpSelect
	s.class.Type |= TypeRead
	s.rest()
}

// parenthesized reads a query that begins with a parenthesis.
func (s *scanner) parenthesized() {
	s.prev = token{} // EXPLAIN ( is no call
	for s.tok.is('(') {
		s.take()
	}
	switch s.tok.kw {
	case kwSelect, kwValues, kwTable:
		s.query()
	case kwWith:
		s.with()
	default:
		s.unknown()
	}
}

// with reads WITH and the statement behind it.
func (s *scanner) with() {
	s.reads = true
	s.advance()
	s.skipKeyword(kwRecursive)
	for {
		if !s.tok.named() {
			s.unknown()
			return
		}
		s.advance()
		if s.tok.is('(') && !s.group() || !s.skipKeyword(kwAs) || !s.group() {
			s.unknown()
			return
		}
		if s.skipWord("cycle") {
			for !s.tok.ends() && !s.skipWord("restrict") {
				s.advance()
			}
		}
		if !s.tok.is(',') {
			break
		}
		s.advance()
	}
	switch s.tok.kw {
	case kwSelect, kwValues, kwTable:
		s.query()
	case kwUpdate, kwDelete, kwInsert, kwReplace:
		s.reads = false
		s.change()
	default:
		if s.tok.is('(') {
			s.parenthesized()
			return
		}
		s.unknown()
	}
}

// group observes what stands in parentheses.
func (s *scanner) group() bool {
	if !s.tok.is('(') {
		return false
	}
	// A list of columns after a name is no call.
	s.prev = token{}
	for depth := s.depth; !s.tok.ends(); {
		s.take()
		if s.depth == depth {
			return true
		}
	}
	return false
}

// change reads a statement that changes data.
func (s *scanner) change() {
	switch s.tok.kw {
	case kwInsert:
		s.write(OpInsert)
	case kwReplace:
		s.write(OpReplace)
	case kwUpdate:
		s.write(OpUpdate)
	case kwDelete:
		s.write(OpDelete)
	case kwTruncate:
		s.write(OpTruncate)
	case kwCall:
		s.write(OpCall)
	case kwDo:
		s.write(OpDo)
	case kwLoad:
		s.write(OpLoad)
		for s.word("data") || s.word("xml") || s.word("low_priority") || s.word("concurrent") {
			s.advance()
		}
		if s.tok.kw == kwLocal {
			s.class.Op = OpLoadLocal
		}
	}
}

// other reads statements that are told by their first words.
func (s *scanner) other() {
	switch s.tok.kw {
	case kwUse:
		s.use()
	case kwKill:
		s.kill()
	case kwGrant:
		s.accounts = true
		s.write(OpGrant)
	case kwRevoke:
		s.accounts = true
		s.write(OpRevoke)
	case kwLock:
		s.write(OpLockTables)
	case kwUnlock:
		s.write(OpUnlockTables)
	case kwFlush:
		s.write(OpFlush)
	case kwOptimize:
		s.write(OpOptimize)
	case kwRepair:
		s.write(OpRepair)
	case kwReset:
		s.write(OpReset)
	case kwPurge:
		s.write(OpPurge)
	case kwChange:
		s.write(OpChangeMaster)
	case kwStop:
		s.write(OpStopReplica)
	case kwShutdown:
		s.write(OpShutdown)
	case kwBinlog:
		s.write(OpBinlog)
	case kwBackup:
		s.write(OpBackup)
	case kwHandler:
		// What it opens stays open on the server.
		s.writes = true
		s.begin(OpHandler, TypeRead|TypeMasterRead)
	case kwHelp:
		s.begin(OpHelp, TypeRead)
	default:
		s.byWord()
	}
}

// byWord reads statements whose first words are keywords nowhere else.
func (s *scanner) byWord() {
	switch {
	case s.tok.ends():
		s.class.Op = OpNone
	case s.word("install"), s.word("uninstall"):
		s.write(OpInstall)
	case s.word("check"):
		s.write(OpCheck)
	case s.word("checksum"):
		s.write(OpChecksum)
	case s.word("cache"):
		s.write(OpCacheIndex)
	case s.word("case"), s.word("if"), s.word("while"), s.word("loop"), s.word("repeat"), s.word("declare"), s.tok.kw == kwFor:
		s.write(OpCompound)
	default:
		s.writes = true
		s.unknown()
	}
}

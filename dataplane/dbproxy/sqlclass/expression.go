package sqlclass

// callsReserved tells whether a reserved word is the name of a function here.
func (w *walker) callsReserved(f *frame) bool {
	if w.prev.end == 0 || w.prev.is(';') || !w.namesFunction(f) {
		return false
	}
	next := w.lex
	return next.next().is('(')
}

func (w *walker) namesFunction(f *frame) bool {
	switch w.tok.kw {
	case kwInsert, kwReplace:
		return f.clause != ClauseNone || w.op == OpDo || w.op == OpCall
	case kwReserved, kwSyntax:
	default:
		return false
	}
	switch word := w.word(); len(word) {
	case 2:
		return same(word, "if")
	case 3:
		return same(word, "mod")
	case 4:
		return same(word, "left") || same(word, "char") && w.prev.kw != kwAs && w.prev.kw != kwSyntax && !w.defines()
	case 5:
		return same(word, "right") || same(word, "match")
	case 6:
		return same(word, "repeat")
	case 7:
		return same(word, "convert") || same(word, "default")
	case 8:
		return same(word, "interval")
	}
	return false
}

// combines tells whether a word leads to a further SELECT, as UNION does.
func (w *walker) combines(t token) bool {
	if t.kw == kwUnion {
		return true
	}
	word := w.lex.sql[t.start:t.end]
	return t.kw == kwSyntax && (same(word, "except") || same(word, "intersect"))
}

// groups tells whether the parenthesis here is one around a whole SELECT.
func (w *walker) groups() bool {
	return w.prev.end == 0 || w.prev.is('(') || w.prev.is(';') || w.combines(w.prev) ||
		(w.prev.kw == kwSyntax && w.combines(w.prev2)) // UNION ALL, UNION DISTINCT
}

// wholeTable notes that TABLE t stands for SELECT * FROM t.
func (w *walker) wholeTable(f *frame) {
	if w.details != nil && (f.union || f.inner) {
		w.field(Field{Column: "*", Clause: ClauseSelect, Nested: f.inner, Union: f.union}, -1)
	}
}

// itemBegins tells whether an item of a select list begins behind a token.
func (w *walker) itemBegins(before token) bool {
	switch before.kw {
	case kwSelect, kwReturning:
		return true
	case kwSyntax, kwReserved:
		switch word := w.lex.sql[before.start:before.end]; {
		case same(word, "all"), same(word, "distinct"), same(word, "distinctrow"), same(word, "high_priority"),
			same(word, "straight_join"), len(word) > 4 && same(word[:4], "sql_"):
			return true
		}
		return false
	}
	return before.is(',') || before.kind == kWord && len(w.lex.sql[before.start:before.end]) > 4 &&
		same(w.lex.sql[before.start:before.start+4], "sql_")
}

// itemEnds tells whether an item of a select list ends before the token, and
// whether a name for it comes first.
func (w *walker) itemEnds() (ends, renamed bool) {
	t := w.tok
	if t.ends() || t.is(',') || t.is(')') {
		return true, false
	}
	if t.kind == kQuoted || t.kind == kString || t.kw == kwAs {
		return true, true
	}
	switch t.kw {
	case kwFrom, kwInto, kwWhere, kwGroup, kwHaving, kwOrder, kwLimit, kwFor, kwLock, kwUnion, kwProcedure, kwWindow:
		return true, false
	}
	if w.combines(t) {
		return true, false
	}
	renamed = t.kind == kWord && !t.kw.has(reserved)
	return renamed, renamed
}

// operands are what stands next to operators.
type operands struct {
	left    Field // what may stand left of the next operator
	leftEnd int32 // where it ends, with the parentheses around it
	right   int   // the operator right of which a column may come
	rightAt int32 // where it ends, with the parentheses behind it
}

// operand notes that a column ends here, and gives it to the operator before it.
func (w *walker) operand(before token, field Field) {
	w.left, w.leftEnd = field, w.prev.end
	if before.end > 0 && before.end == w.rightAt {
		w.details.Functions[w.right].add(field)
	}
}

// operation adds an operator, which ends here, with the column before it.
func (w *walker) operation(before token, name string, clause Clause) {
	f := Function{Name: name, Clause: clause, outer: -1}
	if before.end > 0 && before.end == w.leftEnd {
		f.add(w.left)
	}
	w.right, w.rightAt = len(w.details.Functions), w.tok.end
	w.details.Functions = append(w.details.Functions, f)
}

// parenthesis makes one part of the operand that it stands next to.
func (w *walker) parenthesis() {
	switch {
	case w.details == nil || w.prev.end == 0:
	case w.tok.is('(') && w.rightAt == w.prev.end:
		w.rightAt = w.tok.end
	case w.tok.is(')') && w.leftEnd == w.prev.end:
		w.leftEnd = w.tok.end
	}
}

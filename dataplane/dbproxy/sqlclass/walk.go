package sqlclass

// Table is a table that a statement names.
type Table struct {
	Database Span // empty if none is given
	Name     Span
	Written  bool // it may be changed, locked or dropped
}

// AppendTables appends the tables that a statement names to dst: at least all
// of them. Names of common table expressions, and others that stand where a
// table could, may be among them. The same table may come twice.
func AppendTables(dst []Table, sql []byte, mode Mode) []Table {
	class, met, _ := classify(sql, mode, false)
	w := walker{lex: newLexer(sql, mode), op: class.Op, tables: dst, found: len(dst)}
	w.walk()
	if !met {
		return w.tables
	}
	class, _, _ = classify(sql, mode, true)
	w = walker{lex: newLexer(sql, mode), op: class.Op, tables: w.tables, found: len(w.tables)}
	w.lex.without = true
	w.walk()
	return w.tables
}

// Clause is the part of a statement that a column is used in.
type Clause uint8

const (
	ClauseNone   Clause = iota
	ClauseSelect        // the select list
	ClauseFrom          // FROM with its ON and USING
	ClauseWhere         // WHERE
	ClauseGroup         // GROUP BY
	ClauseHaving        // HAVING
	ClauseOrder         // ORDER BY
	ClauseLimit         // LIMIT
	ClauseInsert        // the columns of INSERT
	ClauseValues        // VALUES
	ClauseSet           // SET of UPDATE and INSERT
	ClauseReturn        // RETURNING
)

func (c Clause) String() string {
	return [...]string{"", "select", "from", "where", "group by", "having", "order by", "limit", "insert", "values",
		"set", "returning"}[c]
}

// place is where in a list of tables the walker is.
type place uint8

const (
	placeNone  place = iota
	placeTable       // a table is to come
	placeAfter       // after a table, a comma leads to the next
	placeOn          // the same, in a condition
)

// frame is what is true within one pair of parentheses.
type frame struct {
	place  place
	clause Clause
	call   bool // arguments of a function, where FROM names no table
	fn     int  // its place among the functions found, -1 for none
	inner  bool // a SELECT here is a subquery
	nested bool // columns here are those of a subquery
	union  bool // a SELECT here follows another one of a union
}

// maxFrames is how deep the walker tells parentheses apart. Deeper down every
// name might be a table's, as well as a column's.
const maxFrames = 64

// walker finds the tables and columns of one statement.
type walker struct {
	lex     lexer
	op      Op
	tok     token
	prev    token
	prev2   token
	depth   int
	frames  [maxFrames]frame
	tables  []Table
	found   int  // tables of other statements
	where   bool // WHERE was seen at depth 0
	set     bool // SET was seen at depth 0
	details *Details
	operands
}

func (w *walker) frame() *frame {
	return &w.frames[min(max(w.depth, 0), maxFrames-1)]
}

func (w *walker) advance() {
	w.prev2, w.prev = w.prev, w.tok
	w.tok = w.lex.next()
}

func (w *walker) walk() {
	for i := range w.frames {
		w.frames[i].fn = -1
	}
	w.advance()
	for w.tok.kind != kEOF && w.tok.kind != kError {
		w.step()
	}
}

// step looks at a token, or at a name of several, and moves on.
func (w *walker) step() {
	f := w.frame()
	if w.depth >= maxFrames-1 {
		f.place = placeTable
	}
	t := w.tok
	switch {
	case t.kind == kQuoted, t.kind == kWord && !t.kw.has(reserved) && !w.verb(), t.kind == kWord && w.callsReserved(f):
		w.name()
		return
	case t.kind == kString && f.place == placeTable && w.lex.sql[t.start] == '"':
		w.name()
		return
	case t.kind == kString && w.details != nil:
		w.details.literal(f.fn, text(w.lex.sql, w.lex.mode, t.span()))
	case t.kind == kWord:
		w.keyword()
	case t.kind == kOp:
		w.operator()
	}
	w.advance()
}

// verb tells whether a word that is not reserved is a keyword here.
func (w *walker) verb() bool {
	switch w.tok.kw {
	case kwHandler, kwTruncate:
		return w.prev.end == 0
	case kwNone:
		return w.prev.end == 0 || w.defines() && (same(w.word(), "tables") || same(w.word(), "sequence") || same(w.word(), "temporary"))
	}
	return w.prev.end == 0
}

func (w *walker) word() []byte { return w.lex.sql[w.tok.start:w.tok.end] }

// defines tells whether the statement is about tables as such.
func (w *walker) defines() bool {
	switch w.op {
	case OpCreateTable, OpCreateSequence, OpCreateIndex, OpCreate, OpDrop, OpDropTable, OpAlter, OpAlterTable,
		OpRenameTable, OpLockTables, OpFlush, OpCheck, OpChecksum, OpAnalyzeTable, OpOptimize, OpRepair:
		return true
	}
	return false
}

// keyword moves to the clause that a keyword begins.
func (w *walker) keyword() {
	f := w.frame()
	switch w.tok.kw {
	case kwFrom:
		if !f.call {
			f.place, f.clause = placeTable, ClauseFrom
		}
	case kwJoin:
		f.place = placeTable
	case kwTable:
		w.wholeTable(f)
		f.place = placeTable
	case kwInto, kwDelete:
		f.place = placeTable
	case kwInsert, kwReplace, kwTruncate, kwHandler, kwDesc, kwExplain:
		f.place = placeTable
	case kwUpdate:
		if w.prev.kw != kwFor && !(w.prev.kw == kwSyntax && same(w.lex.sql[w.prev.start:w.prev.end], "key")) {
			f.place = placeTable
		}
	case kwRename:
		if w.op == OpAlterTable {
			f.place = placeTable
		}
	case kwOn:
		if w.op == OpCreateIndex || w.op == OpDrop {
			f.place = placeTable
		} else if f.place == placeAfter {
			f.place = placeOn
		}
	case kwSyntax:
		w.syntaxWord(f)
		if w.combines(w.tok) {
			f.union = true
		}
	case kwReserved:
		if same(w.word(), "to") && (w.op == OpRenameTable || w.op == OpAlterTable) {
			f.place = placeTable
		}
	case kwNone:
		if w.defines() && (same(w.word(), "tables") || same(w.word(), "sequence")) {
			f.place = placeTable
		}
	default:
		w.clause(f)
	}
}

// syntaxWord looks at STRAIGHT_JOIN between tables and LIKE behind one.
func (w *walker) syntaxWord(f *frame) {
	switch word := w.word(); {
	case same(word, "straight_join"):
		if f.clause != ClauseSelect {
			f.place = placeTable
		}
	case same(word, "like"):
		if w.op == OpCreateTable && f.clause == ClauseNone {
			f.place = placeTable
		}
	}
}

// clause moves to a clause that lists no tables.
func (w *walker) clause(f *frame) {
	clause := f.clause
	switch w.tok.kw {
	case kwSelect:
		clause, f.call, f.nested = ClauseSelect, false, f.inner
	case kwWhere:
		clause = ClauseWhere
		w.where = w.where || w.depth == 0
		if w.details != nil && !f.inner {
			w.details.HasWhere = true
		}
	case kwGroup:
		clause = ClauseGroup
	case kwHaving:
		clause = ClauseHaving
	case kwOrder:
		clause = ClauseOrder
	case kwLimit:
		clause = ClauseLimit
	case kwSet:
		clause = ClauseSet
		w.set = w.set || w.depth == 0
	case kwValues, kwValue:
		clause = ClauseValues
	case kwReturning:
		clause = ClauseReturn
	case kwUnion:
		f.union = true
	case kwWindow, kwInto:
	case kwUsing:
		if w.op != OpDelete || w.depth > 0 || w.where { // USING of a join
			return
		}
		f.place = placeTable
		return
	default:
		return
	}
	f.clause, f.place = clause, placeNone
}

func (w *walker) operator() {
	f := w.frame()
	w.parenthesis()
	switch w.tok.op {
	case '(':
		w.open(f)
	case ')':
		w.depth--
	case ',':
		if f.place >= placeAfter {
			f.place = placeTable
		}
	case '{': // { OJ table … }
		w.advance()
	case ';':
		w.op = OpUnknown // of the next statement
		w.depth = 0
		w.frames[0] = frame{fn: -1}
	default:
		w.symbol()
	}
}

// open enters parentheses.
func (w *walker) open(f *frame) {
	in := frame{clause: f.clause, fn: f.fn, inner: f.inner || !w.groups(), nested: f.nested, union: f.union}
	switch {
	case f.place == placeTable:
		in.place = placeTable
		f.place = placeAfter
	case f.place == placeAfter && (w.op == OpInsert || w.op == OpReplace) && w.depth == 0 && w.prev.kw != kwUsing:
		in.clause = ClauseInsert
	}
	w.depth++
	*w.frame() = in
}

// name reads database.table.column or a part of that, and what it is for.
func (w *walker) name() {
	before := w.prev
	var parts [3]Span
	n := 0
	for {
		if n == len(parts) { // too many
			copy(parts[:], parts[1:])
			n--
		}
		parts[n] = w.tok.span()
		n++
		w.advance()
		if !w.tok.is('.') {
			break
		}
		w.advance()
		if w.tok.is('*') {
			break
		}
		if !w.tok.named() {
			return
		}
	}
	f := w.frame()
	switch {
	case w.tok.is('(') && (before.kw == kwWith || before.kw == kwRecursive || before.kw == kwAs),
		w.tok.is('(') && (w.prev.kw == kwColumns || w.prev.kw == kwAgainst):
	case w.tok.is('(') && !w.holdsTable(f):
		w.call(parts[:n])
	case f.place == placeTable:
		w.table(parts[:n])
		f.place = placeAfter
		if w.details != nil && w.depth >= maxFrames-1 {
			w.column(before, parts[:n])
		}
	case w.details != nil:
		w.column(before, parts[:n])
	}
}

// holdsTable tells whether a name before a parenthesis may be a table's.
func (w *walker) holdsTable(f *frame) bool {
	return f.place == placeTable && w.depth == 0 && (w.op == OpInsert || w.op == OpReplace || w.op == OpLoad || w.defines())
}

func (w *walker) table(parts []Span) {
	t := Table{Name: parts[len(parts)-1], Written: w.written()}
	if len(parts) > 1 {
		t.Database = parts[len(parts)-2]
	}
	w.tables = append(w.tables, t)
}

// written tells whether the statement may change the table that stands here.
func (w *walker) written() bool {
	switch w.op {
	case OpInsert, OpReplace, OpLoad, OpLoadLocal, OpCreateTable, OpCreateSequence:
		return len(w.tables) == w.found
	case OpUpdate:
		return !w.set && w.depth == 0
	case OpDelete:
		return !w.where && w.depth == 0
	case OpTruncate, OpUnknown:
		return true
	}
	return w.defines()
}

// call enters the arguments of a function.
func (w *walker) call(parts []Span) {
	f := w.frame()
	in := frame{clause: f.clause, call: true, fn: f.fn, inner: true, nested: f.nested, union: f.union}
	if f.place == placeTable { // a function that yields a table
		f.place = placeAfter
	}
	if w.details != nil {
		in.fn = w.details.function(w.lex.sql, w.lex.mode, parts, f.fn, f.clause)
	}
	w.depth++
	*w.frame() = in
	w.advance()
}

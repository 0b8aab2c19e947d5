package sqlclass

import "strings"

// Field is a column that a statement uses, or * for all.
type Field struct {
	Database, Table, Column string // the first two are empty unless given
	Clause                  Clause
	Nested                  bool // it is used in a subquery
	Union                   bool // it is used in a SELECT after the first of a union
	// Part: in a select list or RETURNING, it does not stand by itself but is
	// part of an expression, or may be.
	Part bool
	// Renamed: in a select list or RETURNING, another name is given to it.
	Renamed bool
}

// Function is a function or operator that a statement uses.
type Function struct {
	Database string // empty unless given
	Name     string // in lower case
	Clause   Clause
	// Arguments are the columns among its arguments, and of functions within
	// them; of an operator, those next to it.
	Arguments []Field
	// Strings are the string literals among its arguments: with ANSI_QUOTES,
	// names of columns.
	Strings []string
	outer   int
}

// Details are what filters and the classify endpoint want to know of a
// statement. The tokenizer cannot always tell a column from a word of the
// grammar: a field may be named that is none, but none is missing.
type Details struct {
	Class     Class
	Tables    []Table
	Fields    []Field
	Functions []Function
	HasWhere  bool // other than in a subquery

	fields map[Field]bool
}

// Describe says what a statement uses.
func Describe(sql []byte, mode Mode) Details {
	d := Details{Class: Classify(sql, mode), fields: map[Field]bool{}}
	with, met, _ := classify(sql, mode, false)
	w := walker{lex: newLexer(sql, mode), op: with.Op, details: &d}
	w.walk()
	d.Tables = w.tables
	if met { // a server may leave out what executable comments hold
		without, _, _ := classify(sql, mode, true)
		w = walker{lex: newLexer(sql, mode), op: without.Op, details: &d, tables: d.Tables, found: len(d.Tables)}
		w.lex.without = true
		w.walk()
		d.Tables = w.tables
	}
	d.fields = nil
	for i := range d.Functions {
		d.Functions[i].outer = 0
	}
	return d
}

func text(sql []byte, mode Mode, s Span) string { return string(s.Value(sql, mode)) }

// function adds one and gives its place.
func (d *Details) function(sql []byte, mode Mode, parts []Span, outer int, clause Clause) int {
	f := Function{Name: strings.ToLower(text(sql, mode, parts[len(parts)-1])), Clause: clause, outer: outer}
	if len(parts) > 1 {
		f.Database = text(sql, mode, parts[len(parts)-2])
	}
	d.Functions = append(d.Functions, f)
	return len(d.Functions) - 1
}

// column adds the column of a name that follows the token before it, unless
// it can only be an alias.
func (w *walker) column(before token, parts []Span) {
	f := w.frame()
	if before.kw == kwAs || f.place == placeAfter && w.depth < maxFrames-1 || !w.columns() {
		return
	}
	aliasing := before.named() && !before.kw.has(reserved) || before.kind == kString || before.kind == kNumber ||
		before.kind == kParam || before.is(')')
	if aliasing && len(parts) == 1 && f.clause != ClauseNone && !w.tok.is('.') && w.afterValue() {
		return
	}
	field := Field{Clause: f.clause, Nested: f.nested, Union: f.union}
	names := [3]string{}
	if w.tok.is('*') && w.prev.is('.') {
		field.Column = "*"
		copy(names[3-len(parts):], w.texts(parts))
		field.Database, field.Table = names[1], names[2]
		w.advance()
	} else {
		copy(names[3-len(parts):], w.texts(parts))
		field.Database, field.Table, field.Column = names[0], names[1], names[2]
	}
	if f.clause == ClauseSelect || f.clause == ClauseReturn {
		ends, renamed := w.itemEnds()
		field.Part, field.Renamed = f.call || !w.itemBegins(before) || !ends, !f.call && renamed
	}
	w.field(field, f.fn)
	w.operand(before, field)
}

// columns tells whether names in the statement can be those of columns.
func (w *walker) columns() bool {
	switch w.op {
	case OpSet:
		return w.depth > 0
	case OpKill, OpPrepare, OpExecute, OpDeallocate, OpChangeDB, OpBegin, OpCommit, OpRollback, OpSavepoint,
		OpRollbackTo, OpReleaseSavepoint, OpXA, OpSetTransaction, OpSetPassword, OpFlush, OpShow, OpShowDatabases,
		OpGrant, OpRevoke, OpCreateUser, OpCreateRole, OpRenameUser, OpReset, OpPurge, OpHelp:
		return w.frame().clause != ClauseNone && w.frame().clause != ClauseFrom
	}
	return true
}

// afterValue tells whether the token behind an alias can follow one.
func (w *walker) afterValue() bool {
	return w.tok.ends() || w.tok.is(',') || w.tok.is(')') || w.tok.is('}') || w.tok.kw.has(reserved)
}

func (w *walker) texts(parts []Span) []string {
	var texts [3]string
	for i, p := range parts {
		texts[i] = text(w.lex.sql, w.lex.mode, p)
	}
	return texts[:len(parts)]
}

// field adds a field, also to the functions around it.
func (w *walker) field(field Field, fn int) {
	d := w.details
	if !d.fields[field] {
		d.fields[field] = true
		d.Fields = append(d.Fields, field)
	}
	for ; fn >= 0; fn = d.Functions[fn].outer {
		d.Functions[fn].add(field)
	}
}

// literal adds a string to the function around it.
func (d *Details) literal(fn int, s string) {
	if fn >= 0 && len(d.Functions[fn].Strings) < maxArguments {
		d.Functions[fn].Strings = append(d.Functions[fn].Strings, s)
	}
}

// maxArguments is how many arguments of a function are listed.
const maxArguments = 256

func (f *Function) add(field Field) {
	if len(f.Arguments) >= maxArguments {
		return
	}
	for _, known := range f.Arguments {
		if known == field {
			return
		}
	}
	f.Arguments = append(f.Arguments, field)
}

// symbol looks at an operator: * is all columns where no value stands before
// it.
func (w *walker) symbol() {
	if w.details == nil {
		return
	}
	f := w.frame()
	if w.tok.is('*') && (w.prev.kw.has(reserved) || w.prev.is(',') || w.prev.kind == kEOF) {
		if f.clause == ClauseSelect || f.clause == ClauseReturn {
			w.field(Field{Column: "*", Clause: f.clause, Nested: f.nested, Union: f.union}, f.fn)
		}
		return
	}
	if indexByte("=<>!+-*/%&|^~", w.tok.op) < 0 || w.prev.is('(') {
		return
	}
	before, start, end := w.prev, w.tok.start, w.tok.end
	for next := w.lex; ; {
		t := next.next()
		if t.kind != kOp || t.gap || indexByte("=<>|&", t.op) < 0 {
			break
		}
		w.advance()
		end = t.end
	}
	w.operation(before, string(w.lex.sql[start:end]), f.clause)
}

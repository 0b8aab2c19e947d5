package sqlclass

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// exercise calls all that reads a statement, and checks what must hold for
// any text.
func exercise(t *testing.T, sql []byte, mode Mode) {
	t.Helper()
	c := Classify(sql, mode)
	if c.Has(FlagInvalid) && c.Target(false) != TargetMaster {
		t.Errorf("%q cannot be read, and goes to %s", sql, c.Target(false))
	}
	for _, s := range []Span{c.Name, c.Database, c.Text, c.Comment} {
		s.Value(sql, mode)
	}
	AppendTables(nil, sql, mode)
	AppendAssignments(nil, sql, mode)
	Describe(sql, mode)
	for s := range Statements(sql, mode) {
		if len(s) > len(sql) {
			t.Errorf("%q is in %q", s, sql)
		}
	}
	canonical := Canonical(sql, mode)
	if again := Canonical([]byte(canonical), mode); again != canonical {
		t.Errorf("%q becomes %q, and that %q", sql, canonical, again)
	}
}

func FuzzClassify(f *testing.F) {
	for _, s := range statements(f) {
		f.Add([]byte(s.sql), uint16(MariaDB))
	}
	f.Add([]byte("SELECT /*!40101 'a' */ -- x\n--/**/ 1"), uint16(UnknownSQLMode))
	f.Add([]byte("SELECT \"a\xff\\\"\" /*M!100000 /* */ `b` */"), uint16(ANSIQuotes|MySQL))
	f.Fuzz(func(t *testing.T, sql []byte, mode uint16) { exercise(t, sql, Mode(mode)) })
}

// disguise writes a statement in another way that means the same: comments
// and white space between tokens, words in another case. The calls of
// functions that allow no space before their parenthesis stay as they are.
func disguise(sql []byte, mode Mode, r *rand.Rand) ([]byte, bool) {
	fillers := []string{" ", "\n", "\t \r\n", "/**/", "/* x ' */ ", " -- ; '\n", "#\"\n", "/*! */", "/*!40000*/ "}
	l := newLexer(sql, mode)
	l.marks = true
	var out bytes.Buffer
	var last token
	for {
		t := l.next()
		switch t.kind {
		case kError, kOpen, kClose:
			return nil, false // only the server knows what these may hold
		}
		glued := !t.gap && (last.kind == kWord && (t.is('(') || t.is('.')) || last.is('.') || last.kind == kSysVar ||
			last.kind == kQuoted && t.is('.') || last.kind == kOp && t.kind == kOp || last.is('-'))
		switch {
		case last.kind == kWord && t.is('(') && t.gap && !t.comment:
			out.WriteByte('\t') // a comment there would mean something else
		case last.kind == kWord && t.is('(') && t.gap, last.is('-') && t.gap:
			out.WriteString("/**/") // so would white space, and make a comment of --
		case !glued && last.end > 0 && (t.gap || r.IntN(2) == 0):
			out.WriteString(fillers[r.IntN(len(fillers))])
			if last.kind == kOp && t.kind == kOp {
				out.WriteByte(' ')
			}
		}
		if t.kind == kEOF {
			return out.Bytes(), true
		}
		text := sql[t.start:t.end]
		if t.kind == kWord && !isDigit(text[0]) && r.IntN(2) == 0 { // 0X1 is a name, 0x1 is none
			if r.IntN(2) == 0 {
				text = bytes.ToUpper(text)
			} else {
				text = bytes.ToLower(text)
			}
		}
		out.Write(text)
		last = t
	}
}

// alike tells whether two classes lead to the same routing.
func alike(a, b Class) bool {
	return a.Type == b.Type && a.Op == b.Op && a.Flags == b.Flags && a.Kill == b.Kill && a.KillID == b.KillID
}

func metamorphic(t *testing.T, sql []byte, mode Mode, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	other, ok := disguise(sql, mode, r)
	if !ok {
		return
	}
	a, b := Classify(sql, mode), Classify(other, mode)
	if !alike(a, b) {
		t.Errorf("%q is %v %v %b;\n%q is %v %v %b", sql, a.Op, a.Type, a.Flags, other, b.Op, b.Type, b.Flags)
	}
}

func TestMetamorphic(t *testing.T) {
	for _, s := range statements(t) {
		for seed := range uint64(20) {
			metamorphic(t, []byte(s.sql), MariaDB, seed)
		}
	}
}

func FuzzMetamorphic(f *testing.F) {
	for i, s := range statements(f) {
		f.Add([]byte(s.sql), uint16(MariaDB), uint64(i))
	}
	f.Fuzz(func(t *testing.T, sql []byte, mode uint16, seed uint64) {
		for _, c := range sql {
			if c >= 0x80 {
				return // changes of case need not keep these
			}
		}
		metamorphic(t, sql, Mode(mode), seed)
	})
}

// A statement of a mebibyte is read in a time that quadratic work would exceed
// a thousandfold.
func TestLongStatements(t *testing.T) {
	const size = 1 << 20
	for _, part := range []string{
		"(", ")", "((a", "a,", "a.", "'x',", "'", "''", "\\", `"`, "`", "/*", "/**/", "/*!", "/*! */", "/*!99999", "/*!99999 /* */ */",
		"*/", "--", "-- \n", "#\n", ";", "@a:=1,", "@@a.", "1", "1e", ".", "0x", "x'", "f(", "abs(", "select (", "select a from t join (",
		"with a as (", "json_table('' columns(", "set statement a=1 for ", "explain ", "set a=1,", "into @a,", "case when ", "\x00", "\xff", "é",
		"max(a + ",
	} {
		sql := []byte("SELECT " + strings.Repeat(part, size/len(part)))
		Classify(sql, 0)
		Classify(sql[len("SELECT "):], 0)
		AppendTables(nil, sql[:size/4], 0)
		AppendAssignments(nil, sql[:size/4], 0)
		Canonical(sql[:size/4], 0)
		Describe(sql[:size/16], 0)
	}
}

func TestNoAllocations(t *testing.T) {
	tables := make([]Table, 0, 8)
	canonical := make([]byte, 0, 256)
	for _, s := range []string{
		"SELECT c FROM sbtest1 WHERE id=5",
		"SELECT DISTINCT c FROM sbtest1 WHERE id BETWEEN 1 AND 100 ORDER BY c",
		"UPDATE sbtest1 SET k=k+1 WHERE id=5",
		"INSERT INTO sbtest1 (id, k, c, pad) VALUES (5, 6, 'x', 'y')",
		"BEGIN", "COMMIT", "SET autocommit=0", "SET @a = 1, NAMES utf8", "USE db", "SELECT COUNT(*), NOW() FROM t FOR UPDATE",
	} {
		sql := []byte(s)
		if n := testing.AllocsPerRun(100, func() {
			Classify(sql, MariaDB)
			tables = AppendTables(tables[:0], sql, MariaDB)
			canonical = AppendCanonical(canonical[:0], sql, MariaDB)
		}); n != 0 {
			t.Errorf("%s: %v allocations", s, n)
		}
	}
}

func BenchmarkClassify(b *testing.B) {
	for _, s := range []struct{ name, sql string }{
		{"point select", "SELECT c FROM sbtest1 WHERE id=5"},
		{"range", "SELECT DISTINCT c FROM sbtest1 WHERE id BETWEEN 1 AND 100 ORDER BY c"},
		{"update", "UPDATE sbtest1 SET k=k+1 WHERE id=5"},
		{"begin", "BEGIN"},
		{"insert 64 KiB", "INSERT INTO t VALUES ('" + strings.Repeat("x", 1<<16) + "')"},
	} {
		sql := []byte(s.sql)
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Classify(sql, MariaDB)
			}
		})
	}
}

func BenchmarkCanonical(b *testing.B) {
	sql := []byte("SELECT c FROM sbtest1 WHERE id=5")
	dst := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendCanonical(dst[:0], sql, MariaDB)
	}
}

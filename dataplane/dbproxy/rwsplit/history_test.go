package rwsplit

import (
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
)

// remembered are the commands of a history, as text.
func remembered(h *history) string {
	var list []string
	for _, e := range h.entries {
		list = append(list, string(e.packet))
	}
	return strings.Join(list, "; ")
}

func textEntry(sql string) entry {
	class := sqlclass.Classify([]byte(sql), sqlclass.MariaDB)
	k := &call{packet: []byte(sql), class: &class, text: []byte(sql)}
	if class.Op == sqlclass.OpPrepare || class.Op == sqlclass.OpExecute {
		k.name = string(class.Name.Raw([]byte(sql)))
	}
	return newEntry(k)
}

func TestHistory(t *testing.T) {
	for _, c := range []struct {
		limit      int
		prune      bool
		statements string
		want       string
		complete   bool
	}{
		{50, true, "SET @a = 1; SET @b = 2", "SET @a = 1; SET @b = 2", true},
		{50, true, "SET @a = 1; SET @b = 2; SET @a = 1", "SET @b = 2; SET @a = 1", true},
		{50, true, "SET @a = 1; SET @b = @a; SET @a = 1", "SET @a = 1; SET @b = @a; SET @a = 1", true},
		{50, true, "USE a; PREPARE s FROM 'SELECT 1'; USE a", "USE a; PREPARE s FROM 'SELECT 1'; USE a", true},
		{50, true, "USE a; USE b; USE a", "USE b; USE a", true},
		{50, true, "SET @a = @a + 1; SET @a = @a + 1", "SET @a = @a + 1; SET @a = @a + 1", true},
		{2, true, "SET @a = 1; SET @b = 2; SET @c = 3", "SET @b = 2; SET @c = 3", true},
		{2, true, "SET @a = 1; SET @b = 2; SET @a = 1", "SET @b = 2; SET @a = 1", true},
		{2, false, "SET @a = 1; SET @b = 2; SET @c = 3", "", false},
		{2, false, "SET @a = 1; SET @b = 2; SET @c = 3; SET @d = 4", "", false},
	} {
		h := &history{limit: c.limit, prune: c.prune}
		for _, s := range strings.Split(c.statements, "; ") {
			h.add(textEntry(s))
		}
		if got := remembered(h); got != c.want || h.complete() != c.complete {
			t.Errorf("%s: %q, complete %v", c.statements, got, h.complete())
		}
	}
}

// Statements prepared in binary do not count, and stay in their place.
func TestHistoryKeepsPreparedStatements(t *testing.T) {
	h := &history{limit: 1, prune: true}
	st := &statement{}
	h.add(textEntry("SET @a = 1"))
	h.add(entry{packet: []byte("prepare"), prepares: st})
	h.add(textEntry("SET @b = 1"))
	if got := remembered(h); got != "prepare; SET @b = 1" || h.last != 3 {
		t.Fatal(got)
	}
	h.closed(st)
	if got := remembered(h); got != "SET @b = 1" {
		t.Fatal(got)
	}
	// One that has changed the session stays.
	h.add(entry{packet: []byte("prepare"), prepares: st})
	e := textEntry("SET @c = 1")
	e.executes = st
	h.limit = 5
	h.add(e)
	h.closed(st)
	if got := remembered(h); got != "SET @b = 1; prepare; SET @c = 1" || !st.closed {
		t.Fatal(got)
	}
	h.clear(false)
	if len(h.entries) != 0 || !h.complete() {
		t.Fatal(remembered(h))
	}
}

func TestHistoryForgets(t *testing.T) {
	h := &history{limit: 50, prune: true}
	for _, s := range []string{"PREPARE a FROM 'SELECT 1'", "PREPARE b FROM 'SET @x = 1'", "EXECUTE b"} {
		h.add(textEntry(s))
	}
	if !h.deallocate("a") || h.deallocate("b") || h.deallocate("c") {
		t.Fatal(remembered(h))
	}
	if got := remembered(h); got != "PREPARE b FROM 'SET @x = 1'; EXECUTE b" || h.counted != 2 {
		t.Fatal(got, h.counted)
	}
	h.add(textEntry("SET TRANSACTION READ ONLY"))
	if !h.once {
		t.Fatal("it is for the next transaction")
	}
	h.began()
	if got := remembered(h); got != "PREPARE b FROM 'SET @x = 1'; EXECUTE b" || h.counted != 2 {
		t.Fatal(got, h.counted)
	}
}

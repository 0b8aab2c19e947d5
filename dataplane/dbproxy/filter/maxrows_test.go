package filter

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// answers makes a router answer with the packets.
func answers(packets ...[]byte) *fakeRouter {
	return &fakeRouter{answer: func(*dbproxy.Request) [][]byte { return packets }}
}

func TestMaxRows(t *testing.T) {
	const more = wire.StatusMoreResults
	ok := (&wire.OK{}).Append(nil, 0, false)
	two, none := resultSet(0, "1", "2"), resultSet(0)
	refused := (&wire.ServerError{Code: 1415, State: "0A000", Message: "Row limit/size exceeded for query: select 1"}).Append(nil)
	failed := (&wire.ServerError{Code: 1317, State: "70100", Message: "killed"}).Append(nil)
	for _, tt := range []struct {
		name         string
		given        map[string]any
		answer, want [][]byte
	}{
		{"few rows", map[string]any{"max_resultset_rows": 2}, two, two},
		{"many rows", map[string]any{"max_resultset_rows": 1}, two, none},
		{"no limit", nil, resultSet(0, "1", "2", "3"), resultSet(0, "1", "2", "3")},
		{"size", nil, resultSet(0, "1", strings.Repeat("x", 65000), "2", strings.Repeat("y", 600), "3"), none},
		{"one row is too big", map[string]any{"max_resultset_size": 100}, resultSet(0, strings.Repeat("x", 100)), none},
		{"size fits", map[string]any{"max_resultset_size": "1Ki"}, resultSet(0, strings.Repeat("x", 900)), resultSet(0, strings.Repeat("x", 900))},
		{"no rows", map[string]any{"max_resultset_rows": 1}, none, none},
		{"OK", map[string]any{"max_resultset_rows": 1}, [][]byte{ok}, [][]byte{ok}},
		{"error", map[string]any{"max_resultset_rows": 1}, [][]byte{failed}, [][]byte{failed}},
		{"error within", map[string]any{"max_resultset_rows": 1}, append(two[:len(two)-1:len(two)-1], failed), [][]byte{failed}},
		{"as error", map[string]any{"max_resultset_rows": 1, "max_resultset_return": "error"}, two, [][]byte{refused}},
		{"as OK", map[string]any{"max_resultset_rows": 1, "max_resultset_return": "ok"}, two, [][]byte{ok}},
		{"second result, empty", map[string]any{"max_resultset_rows": 1}, slices.Concat(resultSet(more, "1"), two), slices.Concat(resultSet(more, "1"), none)},
		{"first result, empty", map[string]any{"max_resultset_rows": 1}, slices.Concat(resultSet(more, "1", "2"), resultSet(0, "3")), slices.Concat(resultSet(more), resultSet(0, "3"))},
		{"first result, OK", map[string]any{"max_resultset_rows": 1, "max_resultset_return": "ok"}, slices.Concat(resultSet(more, "1", "2"), resultSet(0, "3")),
			slices.Concat([][]byte{(&wire.OK{Status: more}).Append(nil, 0, false)}, resultSet(0, "3"))},
		{"first result, error", map[string]any{"max_resultset_rows": 1, "max_resultset_return": "error"}, slices.Concat(resultSet(more, "1", "2"), resultSet(0, "3")), [][]byte{refused}},
		{"result and OK", map[string]any{"max_resultset_rows": 1}, append(resultSet(more, "1", "2"), ok), append(resultSet(more), ok)},
	} {
		c := newChain(t, made(t, MaxRows(), tt.given), answers(tt.answer...))
		for range 2 {
			got := c.query("select 1")
			if !reflect.DeepEqual(got.packets, tt.want) || !got.done {
				t.Errorf("%s: %q, done %v\nnot %q", tt.name, got.packets, got.done, tt.want)
			}
		}
	}
}

func TestMaxRowsPrepared(t *testing.T) {
	rows := resultSet(0, "1", "2")
	router := &fakeRouter{answer: func(r *dbproxy.Request) [][]byte {
		switch r.Command {
		case wire.ComStmtPrepare:
			return [][]byte{wire.Prepared{ID: 7}.Append(nil)}
		case wire.ComStmtFetch:
			return rows[3:]
		}
		return rows
	}}
	c := newChain(t, made(t, MaxRows(), map[string]any{"max_resultset_rows": 1, "max_resultset_return": "error"}), router)
	long := "select ? -- " + strings.Repeat("x", 2*maxMessage)
	c.must(wire.ComStmtPrepare, []byte(long))
	want := (&wire.ServerError{Code: 1415, State: "0A000", Message: ("Row limit/size exceeded for query: " + long)[:maxMessage]}).Append(nil)
	for command, body := range map[wire.Command][]byte{wire.ComStmtExecute: statement(7), wire.ComStmtFetch: wire.Fetch{ID: 7, Rows: 5}.Append(nil)[1:]} {
		if got := c.must(command, body); !reflect.DeepEqual(got.packets, [][]byte{want}) {
			t.Errorf("%v: %q", command, got.packets)
		}
	}
	// Without anybody to answer nothing is counted.
	if err := c.handler.Handle(c.session.NewRequest([]byte("\x03select 1")), nil); err != nil {
		t.Error(err)
	}
	for _, instead := range []string{"empty", "ok"} {
		c = newChain(t, made(t, MaxRows(), map[string]any{"max_resultset_rows": 1, "max_resultset_return": instead}), router)
		got := c.must(wire.ComStmtFetch, wire.Fetch{ID: 7, Rows: 5}.Append(nil)[1:])
		if !reflect.DeepEqual(got.packets, rows[5:]) || !got.done {
			t.Errorf("FETCH, %s: %q", instead, got.packets)
		}
	}
}

func TestMaxRowsWithoutLimits(t *testing.T) {
	router := &fakeRouter{}
	if c := newChain(t, made(t, MaxRows(), map[string]any{"max_resultset_size": 0}), router); c.handler != dbproxy.Handler(router) {
		t.Error("the filter does something")
	}
}

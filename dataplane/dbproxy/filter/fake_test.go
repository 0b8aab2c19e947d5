package filter

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// fakeRouter answers requests in place of a router, and keeps what came.
type fakeRouter struct {
	answer   func(r *dbproxy.Request) [][]byte // OK when nil
	err      error
	requests []seen
}

// seen is a request that came.
type seen struct {
	command wire.Command
	sql     string
	hints   []dbproxy.Hint
}

func (f *fakeRouter) Handle(r *dbproxy.Request, to dbproxy.Answer) error {
	text, _ := r.SQL()
	f.requests = append(f.requests, seen{r.Command, string(text), append([]dbproxy.Hint(nil), r.Hints...)})
	if f.err != nil {
		return f.err
	}
	if f.answer != nil {
		return dbproxy.Reply(r, to, f.answer(r)...)
	}
	if r.Command == wire.ComStmtPrepare {
		return dbproxy.Reply(r, to, wire.Prepared{ID: uint32(len(f.requests))}.Append(nil))
	}
	return dbproxy.Acknowledge(r, to)
}

func (f *fakeRouter) Close() {}

func (f *fakeRouter) last() seen { return f.requests[len(f.requests)-1] }

// client collects what a client is told.
type client struct {
	packets [][]byte
	kinds   []wire.Kind
	done    bool
}

func (c *client) Packet(kind wire.Kind, payload []byte, reply *wire.Reply) error {
	c.packets = append(c.packets, bytes.Clone(payload))
	c.kinds = append(c.kinds, kind)
	c.done = reply.Done()
	return nil
}

// made makes a filter.
func made(t *testing.T, m dbproxy.FilterModule, given map[string]any) dbproxy.Filter {
	t.Helper()
	set, faults := param.Parse(m.Specs, given)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	f, err := m.New(dbproxy.FilterOptions{Name: "filter", Params: set, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// refuses tells of parameters that a module takes and should not.
func refuses(t *testing.T, m dbproxy.FilterModule, given map[string]any, name string) {
	t.Helper()
	set, faults := param.Parse(m.Specs, given)
	if len(faults) == 0 {
		_, err := m.New(dbproxy.FilterOptions{Name: "filter", Params: set, Logger: slog.New(slog.DiscardHandler)})
		faults, _ = err.(param.Faults) //nolint:errcheck // what is no fault is none
	}
	if len(faults) != 1 || faults[0].Name != name {
		t.Errorf("%v: %v, not a fault of %s", given, faults, name)
	}
}

// chain is a session of a filter before a fake router.
type chain struct {
	t       *testing.T
	session *dbproxy.Session
	handler dbproxy.Handler
	router  *fakeRouter
}

func newChain(t *testing.T, f dbproxy.Filter, router *fakeRouter) *chain {
	t.Helper()
	c := &chain{t: t, session: &dbproxy.Session{}, router: router}
	var err error
	if c.handler, err = f.Session(c.session, router); err != nil {
		t.Fatal(err)
	}
	return c
}

// send sends a request through the filter.
func (c *chain) send(command wire.Command, rest []byte, hints ...dbproxy.Hint) (*client, error) {
	r := c.session.NewRequest(append([]byte{byte(command)}, rest...))
	r.Hints = hints
	to := &client{}
	err := c.handler.Handle(r, to)
	return to, err
}

func (c *chain) query(sql string, hints ...dbproxy.Hint) *client {
	c.t.Helper()
	return c.must(wire.ComQuery, []byte(sql), hints...)
}

func (c *chain) must(command wire.Command, rest []byte, hints ...dbproxy.Hint) *client {
	c.t.Helper()
	to, err := c.send(command, rest, hints...)
	if err != nil {
		c.t.Fatal(err)
	}
	return to
}

// statement is a command about a prepared statement.
func statement(id uint32) []byte {
	return wire.Execute{ID: id, Iterations: 1}.Append(nil)[1:]
}

// resultSet is an answer with rows of one column each.
func resultSet(status wire.Status, rows ...string) (packets [][]byte) {
	packets = append(packets, wire.ColumnCount{Columns: 1, Definitions: true}.Append(nil, 0))
	d := &wire.Column{Name: []byte("a"), Type: wire.TypeVarString}
	packets = append(packets, d.Append(nil, 0), wire.AppendEOF(nil, status, 0))
	for _, row := range rows {
		packets = append(packets, wire.AppendString(nil, []byte(row)))
	}
	return append(packets, wire.AppendEOF(nil, status, 0))
}

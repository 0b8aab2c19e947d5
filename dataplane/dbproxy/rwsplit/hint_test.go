package rwsplit

import (
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
)

// hinter is a filter that makes hints of the comment that a statement begins
// with: master, slave, last, all, server NAME or NAME=VALUE.
type hinter struct{ next dbproxy.Handler }

func (hinter) Session(_ *dbproxy.Session, next dbproxy.Handler) (dbproxy.Handler, error) {
	return hinter{next}, nil
}
func (hinter) Diagnostics() map[string]any { return nil }
func (hinter) Close()                      {}
func (h hinter) Handle(r *dbproxy.Request, to dbproxy.Answer) error {
	if sql, ok := r.SQL(); ok {
		text, _, _ := strings.Cut(strings.TrimPrefix(string(sql), "/*"), "*/")
		for word := range strings.SplitSeq(text, ",") {
			name, value, param := strings.Cut(word, "=")
			switch {
			case !strings.HasPrefix(string(sql), "/*"):
			case word == "master":
				r.Hints = append(r.Hints, dbproxy.Hint{Kind: dbproxy.HintMaster})
			case word == "slave":
				r.Hints = append(r.Hints, dbproxy.Hint{Kind: dbproxy.HintSlave})
			case word == "last":
				r.Hints = append(r.Hints, dbproxy.Hint{Kind: dbproxy.HintLast})
			case word == "all":
				r.Hints = append(r.Hints, dbproxy.Hint{Kind: dbproxy.HintAll})
			case param:
				r.Hints = append(r.Hints, dbproxy.Hint{Kind: dbproxy.HintParam, Name: name, Value: value})
			default:
				r.Hints = append(r.Hints, dbproxy.Hint{Kind: dbproxy.HintServer, Value: word})
			}
		}
	}
	return h.next.Handle(r, to)
}

// withHints puts the filter in front of the router.
func withHints(o *proxytest.Options) {
	o.Modules.Filters = map[string]dbproxy.FilterModule{"hinter": {New: func(dbproxy.FilterOptions) (dbproxy.Filter, error) { return hinter{}, nil }}}
	o.Filters = []proxytest.Filter{{Name: "hints", Module: "hinter"}}
}

func TestHints(t *testing.T) {
	p := start(t, map[string]any{"use_sql_variables_in": "all"}, withHints)
	c := connect(t, p)
	for range 3 {
		c.expect("1", "/*master*/SELECT @@server_id")
		c.expect("1", "/*last*/SELECT @@server_id")
		c.expect("2", "/*server2*/SELECT @@server_id")
		c.expect("2", "/*last*/SELECT @@server_id")
		c.expect("3", "/*server3*/SELECT f()")
		c.expect("3", "/*nowhere,server3*/SELECT @@server_id")
		c.expect("1", "/*server1*/SELECT @@server_id")
		if on := c.value("/*slave*/SELECT f()"); on == "1" {
			t.Fatal("on the master")
		}
		if on := c.value("/*nowhere*/SELECT @@server_id"); on == "1" {
			t.Fatal("on the master")
		}
		c.expect("1", "/*all*/SELECT @@server_id")
	}
	// What changes the session goes everywhere all the same.
	c.exec("/*master*/SET @a = 5")
	for range 4 {
		c.expect("5", "SELECT @a")
	}
	p.Backend(t, 1).SetLag(5e9)
	p.Backend(t, 2).SetLag(50e9)
	for range 4 {
		c.expect("2", "/*max_slave_replication_lag=10*/SELECT @@server_id")
		c.expect("1", "/*max_slave_replication_lag=1*/SELECT @@server_id")
	}
	p.Backend(t, 1).SetStatus(dbproxy.Maintenance, 0)
	c.expect("3", "/*server2*/SELECT @@server_id")
	c.exec("BEGIN")
	c.expect("3", "/*server3*/SELECT @@server_id")
	c.expect("1", "SELECT @@server_id")
	c.exec("/*slave*/COMMIT")
	if c.read() == "1" {
		t.Fatal("the transaction is still open")
	}
}

func TestHintsAreIgnoredInReplayableTransactions(t *testing.T) {
	c := connect(t, start(t, map[string]any{"transaction_replay": true}, withHints))
	c.exec("BEGIN")
	c.expect("1", "/*server2*/SELECT @@server_id")
	c.exec("COMMIT")
	c.expect("2", "/*server2*/SELECT @@server_id")
}

func TestSelectionCriteria(t *testing.T) {
	for _, criteria := range []string{"least_current_operations", "ADAPTIVE_ROUTING", "LEAST_BEHIND_MASTER", "least_global_connections", "least_router_connections"} {
		t.Run(criteria, func(t *testing.T) {
			p := start(t, map[string]any{"slave_selection_criteria": criteria})
			c := connect(t, p)
			p.Backend(t, 1).SetLag(1e9)
			p.Backend(t, 2).SetLag(2e9)
			seen := c.reads(10)
			if seen["1"] > 0 || criteria == "LEAST_BEHIND_MASTER" && seen["2"] != 10 {
				t.Fatal(seen)
			}
			if strings.HasSuffix(criteria, "connections") {
				// Sessions with one replica share them evenly.
				p := start(t, map[string]any{"slave_selection_criteria": criteria, "max_slave_connections": 1, "lazy_connect": true})
				for range 4 {
					connect(t, p).read()
				}
				if a, b := p.Backend(t, 1).Connections(), p.Backend(t, 2).Connections(); a != 2 || b != 2 {
					t.Fatal(a, b)
				}
			}
		})
	}
}

func TestBusyServerIsAvoided(t *testing.T) {
	p := start(t, nil)
	busy, c := connect(t, p), connect(t, p)
	done := busy.begin("SELECT @@server_id + SLEEP(1)")
	proxytest.Eventually(t, "a server works", func() bool { return p.Backend(t, 1).Operations()+p.Backend(t, 2).Operations() == 1 })
	seen := c.reads(6)
	r := <-done
	if r.err != nil || len(seen) != 1 || seen[r.value] != 0 {
		t.Fatal(seen, r.value, r.err)
	}
}

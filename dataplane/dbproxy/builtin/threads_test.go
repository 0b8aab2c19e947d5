package builtin_test

import (
	"runtime"
	"sync"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
)

// TestThreadsAreChanged has sessions begin before and after the number of event
// loops changes, of which the later ones could be given connections of the
// former ones.
func TestThreadsAreChanged(t *testing.T) {
	t.Parallel()
	p, _ := start(t, proxytest.Options{Settings: map[string]any{"threads": 1}, ServerParams: map[string]any{"persistpoolmax": 10, "persistmaxtime": "1h"}})
	early := p.Open(t, "app", "secret", "shop", nil)
	early.SetMaxOpenConns(1)
	execute(t, early, "SET @who = 'early'")
	pooling := p.Open(t, "app", "secret", "shop", nil)
	execute(t, pooling, "SELECT 1")
	pooling.Close()
	srv := p.Backend(t, 0)
	proxytest.Eventually(t, "a connection in the pool", func() bool { return srv.Statistics().Pooled > 0 })

	for _, threads := range []int{3, 0} {
		c := p.Config
		given := c.Settings.Plain()
		given["threads"] = threads
		c.Settings = proxytest.Parse(t, dbproxy.SettingsSpecs(), given)
		p.Apply(t, c)
		if threads == 0 {
			threads = dbproxy.Threads()
		}
		if got := p.Threads(); runtime.GOOS == "linux" && got != threads {
			t.Errorf("%d threads, want %d", got, threads)
		}
		late := p.Open(t, "app", "secret", "shop", nil)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 20 {
					if _, err := late.ExecContext(t.Context(), "SELECT 1"); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		late.Close()
	}
	var who string
	if err := early.QueryRowContext(t.Context(), "SELECT @who").Scan(&who); err != nil || who != "early" {
		t.Errorf("%q, %v: the early session is another one", who, err)
	}
}

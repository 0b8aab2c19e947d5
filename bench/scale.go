package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"time"

	"github.com/google/uuid"
)

const (
	scaleGoal  = 1.3
	startGoal  = 2.0 // seconds
	memoryGoal = 80  // MiB
	hotSet     = 1000
)

// catalogue is a Backplane with many or few services.
type catalogue struct {
	*backplane
	dir string
	ids []uuid.UUID
}

func (c *catalogue) restart(o *owner, opts options) {
	if c.backplane != nil {
		c.stop()
	}
	c.backplane = startBackplane(o, opts.binary, c.dir, "")
	c.login(o)
}

// measureScale compares a large catalogue with a small one: reads, each in its
// own process, in turn, one request at a time; then the start-up and the memory
// of the large one.
func measureScale(o *owner, opts options) []row {
	small := &catalogue{dir: filepath.Join(opts.dir, "small")}
	large := &catalogue{dir: filepath.Join(opts.dir, "large")}
	small.ids, large.ids = seed(o, small.dir, opts.small), seed(o, large.dir, opts.large)

	var starts []float64
	for range 3 {
		large.restart(o, opts)
		starts = append(starts, large.ready.Seconds())
	}
	small.restart(o, opts)
	n := opts.rounds * 200
	var rows []row
	add := func(what string, times int, path func(c *catalogue, i int) string) {
		a, b := takeTurns(o, times, large, small, path)
		rows = append(rows, noMoreThan(fmt.Sprintf("%s, %d services", what, opts.large), "µs", a, b, a/b, fmt.Sprintf("%d services", opts.small), scaleGoal))
	}
	add("get, first read of each", min(opts.small, n), func(c *catalogue, i int) string { return "/api/services/" + c.ids[i*len(c.ids)/opts.small].String() })
	add("get, the same 1,000 again", n, func(c *catalogue, i int) string { return "/api/services/" + c.ids[i%hotSet*len(c.ids)/hotSet].String() })
	random := rand.New(rand.NewPCG(1, 2))
	add("get, at random", n, func(c *catalogue, _ int) string { return "/api/services/" + c.ids[random.IntN(len(c.ids))].String() })
	// A small catalogue fits into the read cache and a large one does not, so
	// that this compares memory with the store: it is shown, without a goal.
	last := &rows[len(rows)-1]
	last.goal, last.met = "", false
	add("first page of 100", n/4, func(*catalogue, int) string { return "/api/services?limit=100" })
	middle := map[*catalogue]string{small: middleOf(o, small), large: middleOf(o, large)}
	add("page of 100 in the middle", n/4, func(c *catalogue, _ int) string { return "/api/services?limit=100&cursor=" + middle[c] })

	rows = append(rows, bounded(fmt.Sprintf("start-up, %d services", opts.large), "s", median(starts), startGoal))
	return append(rows, memory(o, opts, large)...)
}

// takeTurns sends GETs to both catalogues alternately and returns the median
// times in µs.
func takeTurns(o *owner, times int, a, b *catalogue, path func(*catalogue, int) string) (ofA, ofB float64) {
	var took [2][]float64
	for i := range times {
		for side, c := range []*catalogue{a, b} {
			p := path(c, i)
			began := time.Now()
			c.get(o, p)
			took[side] = append(took[side], float64(time.Since(began).Nanoseconds())/1000)
		}
	}
	return median(took[0]), median(took[1])
}

// middleOf is the cursor of the page after half of the list.
func middleOf(o *owner, c *catalogue) string {
	cursor := ""
	const step = 100
	for seen := 0; seen < len(c.ids)/2; seen += step * 10 {
		limit := min(step*10, len(c.ids)/2)
		header, _ := c.get(o, fmt.Sprintf("/api/services?limit=%d&cursor=%s", limit, cursor))
		cursor = header.Get("X-Next-Cursor")
	}
	return cursor
}

// memory is what a server holds when nothing is asked of it: after its start
// and one login, and after work.
func memory(o *owner, opts options, large *catalogue) []row {
	large.restart(o, opts)
	rest(opts.idle)
	fresh := large.resident(o)
	path := "/api/services/" + large.ids[0].String()
	wrk(o, "http://"+large.rest+path, opts.each*2)
	random := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		large.get(o, "/api/services/"+large.ids[random.IntN(len(large.ids))].String())
	}
	for range 20 {
		large.get(o, "/api/services?limit=1000")
	}
	busy := large.resident(o)
	http.DefaultClient.CloseIdleConnections()
	rest(opts.idle)
	what := func(when string) string { return fmt.Sprintf("memory %s, %d services", when, opts.large) }
	return []row{
		bounded(what("idle after the start"), "MiB", fresh, memoryGoal),
		bounded(what("idle after work"), "MiB", large.resident(o), memoryGoal),
		figure(what("right after work"), "MiB", busy),
	}
}

// rest lets a server be idle.
func rest(d time.Duration) { <-time.After(d) }

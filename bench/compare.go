package main

import "time"

// loaded is a server and a load on it, which returns the calls in a second.
type loaded struct {
	*process
	load func(*owner, time.Duration) float64
}

// press puts the load on the server once. cost is the CPU time that a call
// took in the server, in µs.
func (l loaded) press(o *owner, d time.Duration) (rate, cost float64) {
	before, began := l.cpu(o), time.Now()
	rate = l.load(o, d)
	calls := rate * time.Since(began).Seconds()
	return rate, float64((l.cpu(o) - before).Microseconds()) / calls
}

// comparison is how Backplane and a peer do under the same load: the medians
// of the rounds, and of the ratios of single rounds.
type comparison struct {
	rate, peerRate, rateRatio float64 // calls in a second
	cost, peerCost, costRatio float64 // µs of CPU time of the server
}

// compareLoads puts the same load on Backplane and on its peer in turn.
func compareLoads(o *owner, opts options, ours, peer loaded) (c comparison) {
	var costs [2][]float64
	turn := func(side int, l loaded) func() float64 {
		l.load(o, time.Second) // warm up
		return func() float64 {
			rate, cost := l.press(o, opts.each)
			costs[side] = append(costs[side], cost)
			return rate
		}
	}
	c.rate, c.peerRate, c.rateRatio = duel(opts.rounds, turn(0, ours), turn(1, peer))
	ratios := make([]float64, len(costs[0]))
	for i := range ratios {
		ratios[i] = costs[0][i] / costs[1][i]
	}
	c.cost, c.peerCost, c.costRatio = median(costs[0]), median(costs[1]), median(ratios)
	return c
}

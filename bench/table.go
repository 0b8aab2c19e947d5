package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
)

// row is one line of the table.
type row struct {
	what string
	unit string
	// ours is Backplane's figure; peer that of what it is compared with, if
	// anything.
	ours     float64
	peer     float64
	peerName string
	// goal is empty when there is none; limit is then meaningless.
	goal  string
	value float64 // what the goal is about
	met   bool
}

// atLeast is a row whose ratio to the peer has a lower bound.
func atLeast(what, unit string, ours, peer, ratio float64, peerName string, bound float64) row {
	return row{what: what, unit: unit, ours: ours, peer: peer, peerName: peerName, value: ratio,
		goal: fmt.Sprintf("≥ %.2f", bound), met: ratio >= bound}
}

// noMoreThan is a row whose ratio to the peer has an upper bound.
func noMoreThan(what, unit string, ours, peer, ratio float64, peerName string, bound float64) row {
	return row{what: what, unit: unit, ours: ours, peer: peer, peerName: peerName, value: ratio,
		goal: fmt.Sprintf("≤ %.2f", bound), met: ratio <= bound}
}

// near is a row whose ratio to the peer is to be 1, give or take a tolerance.
func near(what, unit string, ours, peer, ratio float64, peerName string, tolerance float64) row {
	return row{what: what, unit: unit, ours: ours, peer: peer, peerName: peerName, value: ratio,
		goal: fmt.Sprintf("1 ± %.2f", tolerance), met: math.Abs(ratio-1) <= tolerance}
}

// bounded is a row whose figure itself has an upper bound.
func bounded(what, unit string, ours, bound float64) row {
	return row{what: what, unit: unit, ours: ours, goal: fmt.Sprintf("≤ %g %s", bound, unit), met: ours <= bound}
}

// figure is a row without a goal.
func figure(what, unit string, ours float64) row { return row{what: what, unit: unit, ours: ours} }

func printTable(w io.Writer, rows []row) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "measure\tBackplane\tpeer\tratio\tgoal\t")
	for _, r := range rows {
		peer, ratio, verdict := "", "", ""
		if r.peerName != "" {
			peer = fmt.Sprintf("%s %s (%s)", number(r.peer), r.unit, r.peerName)
			ratio = fmt.Sprintf("%.2f", r.value)
		}
		if r.goal != "" {
			verdict = "missed"
			if r.met {
				verdict = "met"
			}
		}
		fmt.Fprintf(t, "%s\t%s %s\t%s\t%s\t%s\t%s\n", r.what, number(r.ours), r.unit, peer, ratio, r.goal, verdict)
	}
	t.Flush() //nolint:errcheck // the console has gone
}

// number has three significant digits at least.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// percentile is the smallest figure of a list that p % of it do not exceed.
func percentile(list []float64, p float64) float64 {
	s := slices.Sorted(slices.Values(list))
	if len(s) == 0 {
		return math.NaN()
	}
	return s[max(0, int(math.Ceil(p/100*float64(len(s))))-1)]
}

func median(list []float64) float64 {
	s := slices.Sorted(slices.Values(list))
	n := len(s)
	if n == 0 {
		return math.NaN()
	}
	return (s[(n-1)/2] + s[n/2]) / 2
}

// duel runs a and b in turn, so that what else the machine does hits both, and
// returns the medians of each and of the ratio of a to b in one round.
func duel(rounds int, a, b func() float64) (ours, peer, ratio float64) {
	var as, bs []float64
	for range rounds {
		as, bs = append(as, a()), append(bs, b())
	}
	return median(as), median(bs), ratioIn(as, bs)
}

// ratioIn is the median of the ratios in single rounds.
func ratioIn(ours, peer []float64) float64 {
	ratios := make([]float64, len(ours))
	for i := range ratios {
		ratios[i] = ours[i] / peer[i]
	}
	return median(ratios)
}

package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		list []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 100}, 3}} {
		if got := median(c.list); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.list, got, c.want)
		}
	}
}

func TestPercentile(t *testing.T) {
	list := make([]float64, 100)
	for i := range list {
		list[i] = float64(100 - i)
	}
	for _, c := range []struct {
		list []float64
		p    float64
		want float64
	}{{list, 95, 95}, {list, 100, 100}, {list, 0, 1}, {[]float64{7}, 95, 7}, {[]float64{2, 1}, 50, 1}} {
		if got := percentile(c.list, c.p); got != c.want {
			t.Errorf("percentile %v of %d figures is %v, want %v", c.p, len(c.list), got, c.want)
		}
	}
}

// The ratio is that of single rounds: noise that hits both sides of a round
// must cancel out.
func TestDuelTakesTurns(t *testing.T) {
	var order []string
	noise := []float64{1, 10, 100}
	side := func(name string, factor float64) func() float64 {
		n := 0
		return func() float64 {
			order = append(order, name)
			n++
			return noise[n-1] * factor
		}
	}
	ours, peer, ratio := duel(3, side("a", 1), side("b", 4))
	if want := []string{"a", "b", "a", "b", "a", "b"}; !slices.Equal(order, want) {
		t.Errorf("order is %v", order)
	}
	if ours != 10 || peer != 40 || ratio != 0.25 {
		t.Errorf("got %v, %v, %v", ours, peer, ratio)
	}
}

func TestTableSaysWhetherGoalsAreMet(t *testing.T) {
	var out strings.Builder
	printTable(&out, []row{
		atLeast("fast enough", "/s", 60, 100, 0.6, "peer", 0.5),
		atLeast("too slow", "/s", 40, 100, 0.4, "peer", 0.5),
		noMoreThan("no slower", "µs", 13, 10, 1.3, "peer", 1.3),
		noMoreThan("slower", "µs", 14, 10, 1.4, "peer", 1.3),
		near("alike", "ms", 21, 20, 1.04, "peer", 0.05),
		near("quicker", "ms", 18, 20, 0.9, "peer", 0.05),
		near("slower", "ms", 22, 20, 1.1, "peer", 0.05),
		bounded("small", "MiB", 80, 80),
		bounded("large", "MiB", 81, 80),
		figure("just so", "MiB", 1),
	})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")[1:]
	for i, want := range []string{"met", "missed", "met", "missed", "met", "missed", "missed", "met", "missed", ""} {
		fields := strings.Fields(lines[i])
		if got := fields[len(fields)-1]; want != "" && got != want || want == "" && (got == "met" || got == "missed") {
			t.Errorf("%q ends in %q, want %q", lines[i], got, want)
		}
	}
}

func TestOwnerCleansUpAndReportsFaults(t *testing.T) {
	o := &owner{}
	var order []int
	wrong := errors.New("wrong")
	err := o.run(func() {
		o.Cleanup(func() { order = append(order, 1) })
		o.Cleanup(func() { order = append(order, 2) })
		o.must(wrong)
		t.Error("a fault did not end the measure")
	})
	if !errors.Is(err, wrong) || !slices.Equal(order, []int{2, 1}) {
		t.Errorf("error %v, clean-ups %v", err, order)
	}
	if err := o.run(func() {}); err != nil || len(order) != 2 {
		t.Errorf("a second run: %v, clean-ups %v", err, order)
	}
}

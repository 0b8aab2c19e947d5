package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// gatewayServer is a proxy that is measured.
type gatewayServer struct {
	name string
	*process
	addr string
}

// wrkResult is what wrk tells of one run, and the CPU time of the server for
// each request.
type wrkResult struct {
	rate     float64 // requests in a second
	p50, p99 float64 // ms
	cost     float64 // µs
}

func rateOf(r wrkResult) float64 { return r.rate }
func p50Of(r wrkResult) float64  { return r.p50 }
func p99Of(r wrkResult) float64  { return r.p99 }
func costOf(r wrkResult) float64 { return r.cost }

func medianOf(results []wrkResult, of func(wrkResult) float64) float64 {
	return median(valuesOf(results, of))
}

func valuesOf(results []wrkResult, of func(wrkResult) float64) []float64 {
	all := make([]float64, len(results))
	for i := range results {
		all[i] = of(results[i])
	}
	return all
}

// ratioOf is the median of the ratios of single rounds.
func ratioOf(ours, peer []wrkResult, of func(wrkResult) float64) float64 {
	return ratioIn(valuesOf(ours, of), valuesOf(peer, of))
}

var wrkLatency = regexp.MustCompile(`(?m)^\s+(50|99)%\s+([0-9.]+)(us|ms|s)\s*$`)

// load gets a path over 64 keep-alive connections.
func (s *gatewayServer) load(o *owner, d time.Duration, path string, more ...string) (r wrkResult) {
	before, began := s.cpu(o), time.Now()
	args := append([]string{"-t", "1", "-c", strconv.Itoa(restConns), "-d", fmt.Sprintf("%ds", int(max(d, time.Second).Seconds())), "--latency"}, more...)
	out, err := exec.Command("wrk", append(args, "http://"+s.addr+path)...).CombinedOutput()
	took := time.Since(began)
	if err != nil {
		o.Fatalf("wrk (testbed/install.sh installs it): %v\n%s", err, out)
	}
	if bad := wrkFaults.Find(out); bad != nil {
		o.Fatalf("wrk at %s: %s", s.name, bytes.TrimSpace(bad))
	}
	rate := wrkRate.FindSubmatch(out)
	latencies := wrkLatency.FindAllSubmatch(out, -1)
	if rate == nil || len(latencies) != 2 {
		o.Fatalf("wrk says nothing that can be read:\n%s", out)
	}
	r.rate = number64(o, rate[1])
	r.p50, r.p99 = milliseconds(o, latencies[0]), milliseconds(o, latencies[1])
	r.cost = float64((s.cpu(o) - before).Microseconds()) / (r.rate * took.Seconds())
	return r
}

func milliseconds(o *owner, m [][]byte) float64 {
	unit := map[string]float64{"us": 0.001, "ms": 1, "s": 1000}[string(m[3])]
	return number64(o, m[2]) * unit
}

func number64(o *owner, text []byte) float64 {
	v, err := strconv.ParseFloat(string(text), 64)
	o.must(err)
	return v
}

// spreadScript has wrk ask for routes at random, of so many. What it sends is
// as many different requests whatever their number is.
func spreadScript(o *owner, dir string, routes int) string {
	file := filepath.Join(dir, fmt.Sprintf("spread-%d.lua", routes))
	o.must(os.WriteFile(file, fmt.Appendf(nil, `local requests = {}
function init(args)
  math.randomseed(1)
  for i = 1, 50000 do
    requests[i] = wrk.format("GET", string.format("/r%%06d/tiny?%%d", math.random(%d), i))
  end
end
local at = 0
function request()
  at = at %% 50000 + 1
  return requests[at]
end
`, routes), 0o600))
	return file
}

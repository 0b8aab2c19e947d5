package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	gatewayKey  = "benchmark-key"
	fewRoutes   = 10
	largeBody   = 1 << 20
	liveChanges = 20
	nginxName   = "nginx"
)

// measureGateway compares the HTTP gateway with other proxies before one nginx
// that answers from memory. Backplane is the real program, configured over its
// admin API; the peers have the same features on: connections are kept on both
// sides, forwarded fields are set, and there is no access log.
func measureGateway(o *owner, opts options) []row {
	upstream := startOrigin(o, opts.dir)
	few := startGateway(o, opts, upstream, fewRoutes)
	many := startGateway(o, opts, upstream, opts.routes)
	name := fmt.Sprintf("Backplane, %d routes", opts.routes)
	servers := []*gatewayServer{
		startNginx(o, opts.dir, upstream), startHAProxyHTTP(o, opts.dir, upstream), startCaddy(o, opts.dir, upstream),
		few.server("Backplane, 10 routes"), many.server(name),
	}
	envoy := startEnvoy(o, opts.dir, upstream)
	if envoy != nil {
		servers = append(servers, envoy)
	}
	rows := tinyRows(o, opts, servers, name)
	if envoy == nil {
		rows = append(rows, figure("Envoy is not installed: testbed/install.sh could not have it", "", 0))
	}
	rows = append(rows, spreadRow(o, opts, few, many), pluginRow(o, opts, few))
	rows = append(rows, largeRows(o, opts, servers[0], servers[3])...)
	rows = append(rows, liveRows(o, many)...)
	return append(rows, bounded("memory of the whole program, "+routesText(opts.routes), "MiB", many.resident(o), 1024))
}

func routesText(n int) string { return fmt.Sprintf("%d routes", n) }

// tinyRows puts all servers under the same load of tiny requests in turn.
func tinyRows(o *owner, opts options, servers []*gatewayServer, many string) []row {
	results := map[string][]wrkResult{}
	for _, s := range servers {
		s.load(o, time.Second, "/r000001/tiny") // warm up
	}
	for range opts.rounds {
		for _, s := range servers {
			results[s.name] = append(results[s.name], s.load(o, opts.each, "/r000001/tiny"))
		}
	}
	nginx, caddy := results[nginxName], results["Caddy"]
	var rows []row
	for _, s := range servers {
		r := results[s.name]
		what := "tiny body, 64 connections: " + s.name
		rate, p99, cost := medianOf(r, rateOf), medianOf(r, p99Of), medianOf(r, costOf)
		peer := medianOf(nginx, rateOf)
		switch s.name {
		case "Backplane, 10 routes", many:
			rows = append(rows, atLeast(what, "req/s", rate, peer, ratioOf(r, nginx, rateOf), nginxName, 0.8),
				atLeast(what, "req/s", rate, medianOf(caddy, rateOf), ratioOf(r, caddy, rateOf), "Caddy", 3),
				noMoreThan(what+", p99", "ms", p99, medianOf(nginx, p99Of), ratioOf(r, nginx, p99Of), nginxName, 1.5))
		case nginxName:
			rows = append(rows, figure(what, "req/s", rate), figure(what+", p99", "ms", p99))
		default:
			rows = append(rows, row{what: what, unit: "req/s", ours: rate, peer: peer, peerName: nginxName, value: ratioOf(r, nginx, rateOf)},
				row{what: what + ", p99", unit: "ms", ours: p99, peer: medianOf(nginx, p99Of), peerName: nginxName, value: ratioOf(r, nginx, p99Of)})
		}
		rows = append(rows, figure(what+", p50", "ms", medianOf(r, p50Of)))
		rows = append(rows, row{what: what + serverCPU, unit: "µs", ours: cost, peer: medianOf(nginx, costOf), peerName: nginxName,
			value: ratioOf(r, nginx, costOf)})
	}
	few := results["Backplane, 10 routes"]
	return append(rows, noMoreThan("tiny body, one route: "+routesText(fewRoutes), "req/s", medianOf(few, rateOf), medianOf(results[many], rateOf),
		ratioOf(few, results[many], rateOf), routesText(opts.routes), 1.15))
}

// spreadRow compares many routes with few, all of which are asked for at
// random.
func spreadRow(o *owner, opts options, few, many *gateway) row {
	ours := func(g *gateway, routes int) func() float64 {
		s := g.server("")
		script := spreadScript(o, opts.dir, routes)
		s.load(o, opts.each, "/", "-s", script) // warm up
		return func() float64 { return s.load(o, opts.each, "/", "-s", script).rate }
	}
	a, b, ratio := duel(opts.rounds, ours(few, fewRoutes), ours(many, opts.routes))
	return noMoreThan("tiny body, routes at random: "+routesText(fewRoutes), "req/s", a, b, ratio, routesText(opts.routes), 1.15)
}

// pluginRow tells what key-auth and rate-limiting cost.
func pluginRow(o *owner, opts options, g *gateway) row {
	s := g.server("")
	load := func(path string) func() float64 {
		return func() float64 { return s.load(o, opts.each, path, "-H", "apikey: "+gatewayKey).rate }
	}
	s.load(o, time.Second, "/guarded/tiny", "-H", "apikey: "+gatewayKey) // warm up
	with, without, ratio := duel(opts.rounds, load("/guarded/tiny"), load("/r000001/tiny"))
	return atLeast("tiny body, key-auth and rate-limiting", "req/s", with, without, ratio, "without", 0.85)
}

func largeRows(o *owner, opts options, nginx, ours *gatewayServer) []row {
	load := func(s *gatewayServer) func() float64 {
		return func() float64 { return s.load(o, opts.each, "/r000001/large").rate }
	}
	a, b, ratio := duel(opts.rounds, load(ours), load(nginx))
	return []row{atLeast("1 MiB bodies, 64 connections", "req/s", a, b, ratio, nginxName, 0.9)}
}

// liveRows tell how long it takes from when a change is sent to the admin API
// until requests are served by it.
func liveRows(o *owner, g *gateway) []row {
	var took []float64
	for i := range liveChanges {
		path := fmt.Sprintf("/live-%d", i)
		began := time.Now()
		g.put(o, fmt.Sprintf("/routes/live-%d", i), map[string]any{"paths": []string{path}, "strip_path": false, "service": map[string]any{"name": "origin"}})
		g.await(o, path)
		took = append(took, float64(time.Since(began).Microseconds())/1000)
	}
	what := "a new route, from sending it until it is served, " + routesText(g.routes)
	return []row{figure(what+", median", "ms", median(took)), bounded(what+", worst of 20", "ms", slices.Max(took), 100)}
}

// gateway is a Backplane whose gateway has routes.
type gateway struct {
	*backplane
	addr   string
	routes int
}

// startGateway runs Backplane with so many routes to the upstream, and one with
// plugins.
func startGateway(o *owner, opts options, upstream string, routes int) *gateway {
	g := &gateway{addr: freeAddr(o), routes: routes}
	dir := filepath.Join(opts.dir, fmt.Sprintf("gateway-%d", routes))
	o.must(os.MkdirAll(dir, 0o700))
	seedRoutes(o, dir, upstream, routes)
	g.backplane = startBackplane(o, opts.binary, dir, "", "--gateway-http", g.addr)
	g.put(o, "/routes/guarded", map[string]any{"paths": []string{"/guarded/"}, "strip_path": false, "service": map[string]any{"name": "origin"}})
	g.put(o, "/consumers/bench", map[string]any{})
	g.put(o, "/consumers/bench/key-auth/"+gatewayKey, map[string]any{})
	g.put(o, "/routes/guarded/plugins/7f5b1b5e-0c6a-4b51-9d0e-6c1d5ad0a001", map[string]any{"name": "key-auth"})
	g.put(o, "/routes/guarded/plugins/7f5b1b5e-0c6a-4b51-9d0e-6c1d5ad0a002", map[string]any{
		"name": "rate-limiting", "config": map[string]any{"minute": 1_000_000_000, "policy": "local"},
	})
	g.await(o, "/r000001/tiny")
	g.await(o, "/guarded/tiny")
	return g
}

// put sends one change; it must succeed.
func (g *gateway) put(o *owner, path string, doc map[string]any) {
	body, err := json.Marshal(doc)
	o.must(err)
	req, err := http.NewRequest(http.MethodPut, "http://"+g.rest+path, bytes.NewReader(body))
	o.must(err)
	req.Header.Set("Authorization", authorization)
	req.Header.Set("Content-Type", "application/json")
	status, text := send(o, req)
	if status/100 != 2 {
		o.Fatalf("PUT %s: %d: %s", path, status, text)
	}
}

func send(o *owner, req *http.Request) (status int, text []byte) {
	resp, err := http.DefaultClient.Do(req)
	o.must(err)
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	o.must(err)
	return resp.StatusCode, text
}

// await waits until a path is served.
func (g *gateway) await(o *owner, path string) {
	deadline := time.Now().Add(time.Minute)
	for {
		req, err := http.NewRequest(http.MethodGet, "http://"+g.addr+path, nil)
		o.must(err)
		req.Header.Set("apikey", gatewayKey)
		status, text := send(o, req)
		if status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			o.Fatalf("GET %s at the gateway: %d: %s", path, status, text)
		}
	}
}

func (g *gateway) server(name string) *gatewayServer { return &gatewayServer{name, g.process, g.addr} }

package main

import (
	"context"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
)

const (
	grpcGoal = 0.5
	restGoal = 0.35
)

// measureGRPC gets one service from Backplane and from a bare grpc-go server
// that has it in memory.
func measureGRPC(o *owner, opts options) []row {
	ids := seed(o, filepath.Join(opts.dir, "grpc"), opts.small)
	b := startBackplane(o, opts.binary, filepath.Join(opts.dir, "grpc"), "")
	b.login(o)
	id := ids[0].String()
	conn, err := grpc.NewClient("passthrough:///"+b.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	o.must(err)
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", authorization)
	answer, err := catalogv1.NewServiceCatalogClient(conn).GetService(ctx, &catalogv1.GetServiceRequest{Id: id})
	o.must(err)
	message, err := proto.Marshal(answer)
	o.must(err)
	p, addr := startPeer(o, opts.dir, "grpc", reply{Body: message})

	ours, peers := newGRPCLoad(o, b.grpc, id), newGRPCLoad(o, addr, id)
	return compareLoads(o, opts, "gRPC get", "bare grpc-go", grpcGoal, b.process, p, ours.run, peers.run)
}

// measureREST gets one service from Backplane and from a bare net/http handler
// that gives the same bytes and headers.
func measureREST(o *owner, opts options) []row {
	ids := seed(o, filepath.Join(opts.dir, "rest"), opts.small)
	b := startBackplane(o, opts.binary, filepath.Join(opts.dir, "rest"), "")
	path := "/api/services/" + ids[0].String()
	header, body := b.get(o, path)
	header.Del("Date")
	header.Del("Content-Length") // both servers add these themselves
	p, addr := startPeer(o, opts.dir, "rest", reply{Header: header, Body: body})
	load := func(addr string) func(*owner, time.Duration) float64 {
		return func(o *owner, d time.Duration) float64 { return wrk(o, "http://"+addr+path, d) }
	}
	return compareLoads(o, opts, "REST get", "bare net/http", restGoal, b.process, p, load(b.rest), load(addr))
}

// compareLoads puts the same load on Backplane and on its peer in turn. The
// rate decides; the CPU time that a call takes in the server says the same
// without the load generator, which shares the machine.
func compareLoads(o *owner, opts options, what, peerName string, goal float64, ours, peer *process, loadOurs, loadPeer func(*owner, time.Duration) float64) []row {
	var cost [2][]float64
	turn := func(i int, p *process, load func(*owner, time.Duration) float64) func() float64 {
		load(o, time.Second) // warm up
		return func() float64 {
			before, began := p.cpu(o), time.Now()
			rate := load(o, opts.each)
			calls := rate * time.Since(began).Seconds()
			cost[i] = append(cost[i], float64((p.cpu(o)-before).Microseconds())/calls)
			return rate
		}
	}
	a, b, ratio := duel(opts.rounds, turn(0, ours, loadOurs), turn(1, peer, loadPeer))
	ourCost, peerCost := median(cost[0]), median(cost[1])
	return []row{
		atLeast(what+", rate", "/s", a, b, ratio, peerName, goal),
		{what: what + ", server CPU a call", unit: "µs", ours: ourCost, peer: peerCost, peerName: peerName, value: ourCost / peerCost},
	}
}

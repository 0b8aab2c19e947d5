package main

import (
	"path/filepath"

	"google.golang.org/protobuf/proto"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
)

const (
	grpcGoal = 0.5
	restGoal = 0.35

	serverCPU = ", server CPU a call"
)

// measureGRPC gets one service from Backplane and from a bare grpc-go server
// that has it in memory.
func measureGRPC(o *owner, opts options) []row {
	ids := seed(o, filepath.Join(opts.dir, "grpc"), opts.small)
	b := startBackplane(o, opts.binary, filepath.Join(opts.dir, "grpc"), "")
	b.login(o)
	id := ids[0].String()
	conn := connect(o, b.grpc, nil)
	defer conn.Close()
	answer, err := catalogv1.NewServiceCatalogClient(conn).GetService(loggedIn(), &catalogv1.GetServiceRequest{Id: id})
	o.must(err)
	message, err := proto.Marshal(answer)
	o.must(err)
	p, addr := startPeer(o, opts.dir, "grpc", reply{Body: message})

	ours, peers := newGRPCLoad(o, b.grpc, id), newGRPCLoad(o, addr, id)
	return compareLoads(o, opts, loaded{b.process, ours.run}, loaded{p, peers.run}).rows("gRPC get", "bare grpc-go", grpcGoal)
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
	ours, peers := loaded{b.process, wrkLoad("http://" + b.rest + path)}, loaded{p, wrkLoad("http://" + addr + path)}
	return compareLoads(o, opts, ours, peers).rows("REST get", "bare net/http", restGoal)
}

// rows are the rows of a comparison. The rate decides; the CPU time that a call
// takes in the server says the same without the load generator, which shares
// the machine.
func (c comparison) rows(what, peerName string, goal float64) []row {
	return []row{
		atLeast(what+", rate", "/s", c.rate, c.peerRate, c.rateRatio, peerName, goal),
		{what: what + serverCPU, unit: "µs", ours: c.cost, peer: c.peerCost, peerName: peerName, value: c.costRatio},
	}
}

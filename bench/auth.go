package main

import (
	"path/filepath"
	"time"

	"google.golang.org/protobuf/proto"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
)

const (
	// costGoal is how much more CPU time a call may take than in the build that
	// it is compared with.
	costGoal = 1.10
	// againstRounds is how often the builds take turns for each round of the
	// other measures: they differ by little.
	againstRounds = 2
)

// measureAuth tells what logins cost, and a call whose login is remembered.
// That one is compared with another build of the program, if one is given.
func measureAuth(o *owner, opts options) []row {
	rows := measureLogins(o, opts)
	ours := loadBuild(o, opts, opts.binary, "auth")
	if opts.against == "" {
		for _, c := range ours {
			c.load(o, time.Second) // warm up
			var rates, costs []float64
			for range opts.rounds {
				rate, cost := c.press(o, opts.each)
				rates, costs = append(rates, rate), append(costs, cost)
			}
			rows = append(rows, figure(c.name+", rate", "/s", median(rates)), figure(c.name+serverCPU, "µs", median(costs)))
		}
		return rows
	}
	peer, peerName := loadBuild(o, opts, opts.against, "against"), filepath.Base(opts.against)
	opts.rounds *= againstRounds
	for i, c := range ours {
		m := compareLoads(o, opts, c.loaded, peer[i].loaded)
		rows = append(rows,
			row{what: c.name + ", rate", unit: "/s", ours: m.rate, peer: m.peerRate, peerName: peerName, value: m.rateRatio},
			noMoreThan(c.name+serverCPU, "µs", m.cost, m.peerCost, m.costRatio, peerName, costGoal))
	}
	return rows
}

type namedLoad struct {
	name string
	loaded
}

// loadBuild runs a build of the program and returns a load on it for each kind
// of call. It fills the store by calls, because another build may have another
// schema.
func loadBuild(o *owner, opts options, program, dir string) []namedLoad {
	b := startBackplane(o, program, filepath.Join(opts.dir, dir), "")
	create := creator(o, b)
	for range opts.small {
		o.must(create(0))
	}
	conn := connect(o, b.grpc, nil)
	defer conn.Close()
	list, err := catalogv1.NewServiceCatalogClient(conn).ListServices(loggedIn(), &catalogv1.ListServicesRequest{Limit: proto.Uint32(1)})
	o.must(err)
	id := list.GetData()[0].GetId()
	return []namedLoad{
		{"REST get, logged in", loaded{b.process, wrkLoad("http://" + b.rest + "/api/services/" + id)}},
		{"gRPC get, logged in", loaded{b.process, newGRPCLoad(o, b.grpc, id).run}},
	}
}

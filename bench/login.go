package main

import (
	"fmt"
	"net"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
)

const (
	// loginTolerance is how far the median time of refusing an unknown user may
	// be from that of refusing a known one: a difference would tell which users
	// there are.
	loginTolerance = 0.05
	// knownUsers take turns, so that no one of them is special.
	knownUsers = 20
	// remembered is how often each of them calls again.
	remembered = 20
)

// way is one way to log in. Guesses come from addresses of its own network.
type way struct {
	name    string
	network byte
	dial    func(o *owner, b *backplane, from net.IP) *caller
}

// measureLogins times logins one after the other. Each pair of guesses, at the
// password of an unknown user and at that of a known one, comes from an
// address of its own: then neither has to wait as one who guesses often.
func measureLogins(o *owner, opts options) (rows []row) {
	b := startBackplane(o, opts.binary, filepath.Join(opts.dir, "login"), "")
	for _, w := range []way{{"REST", 1, dialREST}, {"gRPC", 2, dialGRPC}} {
		users := makeUsers(o, b, w.name)
		rows = append(rows, compareRefusals(o, b, w, users, opts.rounds*40)...)

		c := w.dial(o, b, net.IPv4(127, w.network, 255, 1))
		var first, again []float64
		for _, u := range users {
			first = append(first, c.timed(o, u, password, true))
			for range remembered {
				again = append(again, c.timed(o, u, password, true))
			}
		}
		c.close()
		rows = append(rows,
			figure("login by "+w.name+", first", "ms", median(first)),
			figure("login by "+w.name+", remembered", "ms", median(again)))
	}
	return rows
}

// compareRefusals guesses at unknown and at known users in turn.
func compareRefusals(o *owner, b *backplane, w way, users []string, pairs int) []row {
	var unknown, known []float64
	for i := range pairs {
		c := w.dial(o, b, net.IPv4(127, w.network, byte(i>>8), byte(i)))
		var took [2]float64
		names := []string{fmt.Sprintf("unknown-%s-%04d", w.name, i), users[i%len(users)]}
		for _, k := range [][]int{{0, 1}, {1, 0}}[i%2] { // neither is always the first one on a connection
			took[k] = c.timed(o, names[k], "wrong-password", false)
		}
		c.close()
		unknown, known = append(unknown, took[0]), append(known, took[1])
	}
	what, peer := "login by "+w.name+", unknown user", "known, wrong password"
	usual, usualKnown := median(unknown), median(known)
	late, lateKnown := percentile(unknown, 95), percentile(known, 95)
	return []row{
		near(what+", median", "ms", usual, usualKnown, usual/usualKnown, peer, loginTolerance),
		{what: what + ", p95", unit: "ms", ours: late, peer: lateKnown, peerName: peer, value: late / lateKnown},
	}
}

// makeUsers makes the known users of one way to log in. Those of the other
// would be remembered.
func makeUsers(o *owner, b *backplane, way string) []string {
	conn := connect(o, b.grpc, nil)
	defer conn.Close()
	admin := identityv1.NewIdentityAdminClient(conn)
	users := make([]string, knownUsers)
	for i := range users {
		users[i] = fmt.Sprintf("known-%s-%04d", way, i) // as long as the unknown ones
		_, err := admin.CreateUser(loggedIn(), &identityv1.CreateUserRequest{User: &identityv1.User{
			Username: users[i], Password: proto.String(password), Roles: []*identityv1.RoleBinding{{Role: "viewer"}},
		}})
		o.must(err)
	}
	return users
}

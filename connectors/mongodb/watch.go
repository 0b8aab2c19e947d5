package mongodb

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"go.mongodb.org/mongo-driver/v2/event"

	"github.com/backplane/backplane/connectors"
)

// watch follows what the driver learns about the deployment, and decides as
// soon as every server was asked once. The driver itself would go on asking
// until its selection timeout, and then hide the causes.
type watch struct {
	readsSecondary bool // a secondary is good enough

	mu       sync.Mutex
	topology event.TopologyDescription
	failed   map[string]error  // by address: the last answer was a failure
	sets     map[string]string // by address: the name of the set it says it is in
	settled  bool
	usable   bool
	done     chan struct{}
}

func newWatch(readsSecondary bool) *watch {
	return &watch{
		readsSecondary: readsSecondary, failed: map[string]error{}, sets: map[string]string{}, done: make(chan struct{}),
	}
}

func (w *watch) monitor() *event.ServerMonitor {
	return &event.ServerMonitor{
		ServerHeartbeatFailed: func(e *event.ServerHeartbeatFailedEvent) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.failed[addressOf(e.ConnectionID)] = e.Failure
			w.decide()
		},
		ServerHeartbeatSucceeded: func(e *event.ServerHeartbeatSucceededEvent) {
			w.mu.Lock()
			defer w.mu.Unlock()
			delete(w.failed, addressOf(e.ConnectionID))
			w.sets[addressOf(e.ConnectionID)] = e.Reply.SetName
		},
		TopologyDescriptionChanged: func(e *event.TopologyDescriptionChangedEvent) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.topology = e.NewDescription
			w.decide()
		},
	}
}

// addressOf is the server of a connection: the driver names connections
// address[-number].
func addressOf(connectionID string) string {
	i := strings.LastIndex(connectionID, "[-")
	if i < 0 {
		return connectionID
	}
	return connectionID[:i]
}

func (w *watch) decide() {
	if w.settled {
		return
	}
	asked := true
	for _, s := range w.topology.Servers {
		if w.serves(s.Kind) {
			w.usable = true
		}
		if s.Kind == "Unknown" && w.failed[string(s.Addr)] == nil {
			asked = false
		}
	}
	if w.usable || asked {
		w.settled = true
		close(w.done)
	}
}

// serves reports whether a server of the kind can be asked for its collections.
func (w *watch) serves(kind string) bool {
	switch kind {
	case "Unknown":
		return false
	case "RSSecondary":
		return w.readsSecondary || w.topology.Kind == "Single"
	case "RSArbiter", "RSGhost", "RSMember":
		return w.topology.Kind == "Single"
	}
	return true
}

// state is what the watch knows.
type state struct {
	usable   bool
	kind     string // of the topology
	set      string // name of the replica set
	servers  []event.ServerDescription
	failed   map[string]error
	sets     []string // names that servers say their set has
	tooOld   error
	secondly bool // only a secondary serves
}

func (w *watch) state() state {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := state{
		usable: w.usable, kind: w.topology.Kind, set: w.topology.SetName, servers: slices.Clone(w.topology.Servers),
		failed: map[string]error{}, tooOld: w.topology.CompatibilityErr,
	}
	for a, err := range w.failed {
		s.failed[a] = err
	}
	for _, name := range w.sets {
		if name != "" && !slices.Contains(s.sets, name) {
			s.sets = append(s.sets, name)
		}
	}
	slices.Sort(s.sets)
	s.secondly = len(s.servers) == 1 && s.servers[0].Kind == "RSSecondary"
	return s
}

// failure explains a deployment without a usable server. seeds are the servers
// of the configuration.
func (s state) failure(seeds []string, explain func(error) *connectors.Failure) error {
	if s.tooOld != nil {
		return &connectors.Failure{Code: connectors.ProtocolMismatch, Phrase: "Server version not supported", Detail: s.tooOld.Error(), Err: s.tooOld}
	}
	for _, seed := range seeds {
		if err := s.failed[seed]; err != nil && len(s.failed) >= len(s.servers) && len(s.sets) == 0 {
			return explain(err)
		}
	}
	if len(s.servers) == 0 || s.set != "" && len(s.sets) > 0 && !slices.Contains(s.sets, s.set) {
		return s.wrongSet()
	}
	if members := s.unreachable(seeds); len(members) > 0 {
		f := explain(s.failed[members[0]])
		f.Detail = "the replica set names members that cannot be reached: " + strings.Join(members, ", ")
		f.Hint = "Make these names resolve and answer from here, or ask one server alone with direct_connection (directConnection=true in a uri)."
		return f
	}
	f := &connectors.Failure{Code: connectors.ServerBusy, Detail: "the replica set has no primary", Err: errors.New("topology " + s.kind)}
	if s.set != "" {
		f.Detail = "the replica set " + s.set + " has no primary"
	}
	return f
}

func (s state) wrongSet() error {
	f := &connectors.Failure{Code: connectors.InvalidConfig, Detail: "the server is in no replica set", Hint: "Remove the name of the replica set."}
	if len(s.sets) > 0 {
		f.Detail = "the server is in the replica set " + strings.Join(s.sets, ", ")
		f.Hint = "Correct the name of the replica set."
	}
	return f
}

// unreachable are the members that failed, those first that only the set names.
func (s state) unreachable(seeds []string) []string {
	var named, own []string
	for a := range s.failed {
		if slices.Contains(seeds, a) {
			own = append(own, a)
		} else {
			named = append(named, a)
		}
	}
	slices.Sort(named)
	slices.Sort(own)
	return append(named, own...)
}

package httpproxy

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
)

// pluginIndex finds the plugins that are for a request. It never changes, but
// for what it remembers of the answers it gave.
type pluginIndex struct {
	generation uint64 // greater for each one
	scopes     table[scope, []*instance]
	consumers  table[uuid.UUID, int] // the number of instances of each
	global     chain

	chains     sync.Map // of scopes → *cachedChain, without those of routes alone
	remembered atomic.Int64
}

// maxRemembered bounds what a pluginIndex remembers.
const maxRemembered = 1 << 16

// chain is the instances that are run for a request, in their order.
type chain []*instance

// cachedChain is a chain that was found for a generation.
type cachedChain struct {
	generation uint64
	chain      chain
}

// forRoute is the chain of requests of which no consumer is known.
func (x *pluginIndex) forRoute(r *servedRoute) chain {
	if c := r.chain.Load(); c != nil && c.generation == x.generation {
		return c.chain
	}
	service := r.serviceID()
	c := &cachedChain{x.generation, x.resolve(scope{r.ID, service, uuid.Nil})}
	// Routes without plugins of their own share one, which is in the processor's
	// caches then when they are not.
	if common := x.remember(scope{uuid.Nil, service, uuid.Nil}); slices.Equal(common.chain, c.chain) {
		c = common
	}
	r.chain.Store(c)
	return c.chain
}

// forConsumer is the chain of requests of a consumer.
func (x *pluginIndex) forConsumer(r *servedRoute, consumer uuid.UUID) chain {
	if n, _ := x.consumers.get(consumer); n == 0 {
		return x.forRoute(r)
	}
	return x.remember(scope{r.ID, r.serviceID(), consumer}).chain
}

// remember is resolve, once for each scope.
func (x *pluginIndex) remember(s scope) *cachedChain {
	if c, ok := x.chains.Load(s); ok {
		return c.(*cachedChain)
	}
	if x.remembered.Add(1) > maxRemembered {
		x.chains.Clear()
		x.remembered.Store(1)
	}
	c, _ := x.chains.LoadOrStore(s, &cachedChain{x.generation, x.resolve(s)})
	return c.(*cachedChain)
}

// resolve takes of each plugin the instance with the most specific scope.
func (x *pluginIndex) resolve(s scope) chain {
	var c chain
	for _, from := range [...]scope{
		s,
		{s.route, uuid.Nil, s.consumer},
		{uuid.Nil, s.service, s.consumer},
		{s.route, s.service, uuid.Nil},
		{uuid.Nil, uuid.Nil, s.consumer},
		{s.route, uuid.Nil, uuid.Nil},
		{uuid.Nil, s.service, uuid.Nil},
		{},
	} {
		// Where a part of s is zero, scopes are the same as more general ones
		// further down: their instances are found there first or then, and are
		// the same ones.
		instances, _ := x.scopes.get(from)
		for _, i := range instances {
			if !slices.ContainsFunc(c, func(have *instance) bool { return have.name == i.name }) {
				c = append(c, i)
			}
		}
	}
	slices.SortFunc(c, byPriority)
	return c
}

// pluginIndexTxn makes a pluginIndex of another one.
type pluginIndexTxn struct {
	generation uint64
	scopes     *tableTxn[scope, []*instance]
	consumers  *tableTxn[uuid.UUID, int]
}

func (x *pluginIndex) next() *pluginIndexTxn {
	return &pluginIndexTxn{x.generation + 1, x.scopes.txn(), x.consumers.txn()}
}

func (t *pluginIndexTxn) put(i *instance) {
	s := i.scope()
	have, _ := t.scopes.get(s)
	with := append(slices.Clone(have), i)
	slices.SortFunc(with, byPriority)
	t.scopes.put(s, with)
	if s.consumer != uuid.Nil {
		n, _ := t.consumers.get(s.consumer)
		t.consumers.put(s.consumer, n+1)
	}
}

func (t *pluginIndexTxn) del(i *instance) {
	s := i.scope()
	have, _ := t.scopes.get(s)
	without := slices.DeleteFunc(slices.Clone(have), func(o *instance) bool { return o == i })
	if len(without) == 0 {
		t.scopes.del(s)
	} else {
		t.scopes.put(s, without)
	}
	if s.consumer != uuid.Nil {
		if n, _ := t.consumers.get(s.consumer); n > 1 {
			t.consumers.put(s.consumer, n-1)
		} else {
			t.consumers.del(s.consumer)
		}
	}
}

func (t *pluginIndexTxn) finish() *pluginIndex {
	x := &pluginIndex{generation: t.generation, scopes: t.scopes.table, consumers: t.consumers.table}
	x.global = x.resolve(scope{})
	return x
}

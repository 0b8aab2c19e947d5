package gateway

import (
	"github.com/backplane/backplane/dataplane/httpproxy"
)

// noted are objects, each once, in the order in which they were added last.
type noted struct {
	list []*object // nil for those that were dropped
	at   map[httpproxy.Key]int
}

func (o *object) key() httpproxy.Key { return httpproxy.Key{Kind: httpproxy.Kind(o.c.Name), ID: o.id} }

func (n *noted) add(o *object) {
	n.drop(o)
	if n.at == nil {
		n.at = map[httpproxy.Key]int{}
	}
	n.at[o.key()] = len(n.list)
	n.list = append(n.list, o)
}

func (n *noted) drop(o *object) {
	if i, ok := n.at[o.key()]; ok {
		n.list[i] = nil
		delete(n.at, o.key())
	}
}

func (n *noted) has(o *object) bool {
	_, ok := n.at[o.key()]
	return ok
}

func (n *noted) all() []*object {
	out := make([]*object, 0, len(n.at))
	for _, o := range n.list {
		if o != nil {
			out = append(out, o)
		}
	}
	return out
}

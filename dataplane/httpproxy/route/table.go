package route

import (
	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// Table is an index of routes with a value for each. It never changes, and may
// be used by many at once. The zero Table is empty.
type Table[V any] struct{ index index[V] }

// Len is the number of routes.
func (t *Table[V]) Len() int { return t.index.count }

// Get is the value of a route, nil if it is not there.
func (t *Table[V]) Get(id uuid.UUID) *V {
	c := get(t.index.routes, id[:])
	if c == nil || len(c.rules) == 0 {
		return nil
	}
	return &c.rules[0].value
}

// Match finds the route that a request is for.
func (t *Table[V]) Match(in *Input) (Result[V], bool) {
	found := t.index.find(in)
	if found == nil {
		return Result[V]{}, false
	}
	r := Result[V]{
		Value:     &found.value,
		Protocols: found.brief.protocols,
		NeedsTLS:  in.Scheme != "https" && found.brief.protocols&(HTTP|GRPC) == 0,
	}
	if found.brief.flags&expression == 0 {
		r.Prefix = in.Path[:found.brief.length]
		return r, true
	}
	r.Captures, r.Names = found.rest.re.FindStringSubmatch(in.Path), found.rest.names
	r.Prefix = r.Captures[0]
	return r, true
}

// Txn begins the next table.
func (t *Table[V]) Txn() *Txn[V] { return &Txn[V]{index: t.index, by: &edit{}} }

// Txn makes a table. It is used by one goroutine.
type Txn[V any] struct {
	index index[V]
	by    *edit
}

// Put puts a route in the place of the one with the same ID, or adds it. After
// an error, which tells of a regular expression that does not compile, the one
// before is there still.
func (x *Txn[V]) Put(r *entity.Route, v V) error {
	return x.PutFunc(r, func(to *V) { *to = v })
}

// PutFunc is Put with values that set fills in: one for each path of the route.
func (x *Txn[V]) PutFunc(r *entity.Route, set func(*V)) error {
	c, err := compile(r, set)
	if err != nil {
		return err
	}
	x.index.put(c, x.by)
	return nil
}

// Remove takes a route out and tells whether it was there.
func (x *Txn[V]) Remove(id uuid.UUID) bool { return x.index.remove(id, x.by) }

// Len is the number of routes.
func (x *Txn[V]) Len() int { return x.index.count }

// Commit is the table with the changes until now. The Txn may go on.
func (x *Txn[V]) Commit() *Table[V] {
	x.by = &edit{} // what the table has is changed by nobody any more
	return &Table[V]{index: x.index}
}

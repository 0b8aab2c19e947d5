package route

import (
	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// Table is an index of routes with a value for each. It never changes, and may
// be used by many at once. The zero Table is empty.
type Table[V any] struct{}

// Len is the number of routes.
func (t *Table[V]) Len() int { return 0 }

// Match finds the route that a request is for.
func (t *Table[V]) Match(in *Input) (Result[V], bool) { return Result[V]{}, false }

// Txn begins the next table.
func (t *Table[V]) Txn() *Txn[V] { return &Txn[V]{} }

// Txn makes a table. It is used by one goroutine.
type Txn[V any] struct{}

// Put puts a route in the place of the one with the same ID, or adds it. After
// an error, which tells of a regular expression that does not compile, the one
// before is there still.
func (x *Txn[V]) Put(r *entity.Route, v V) error { return nil }

// Remove takes a route out and tells whether it was there.
func (x *Txn[V]) Remove(id uuid.UUID) bool { return false }

// Commit is the table with the changes until now. The Txn may go on.
func (x *Txn[V]) Commit() *Table[V] { return &Table[V]{} }

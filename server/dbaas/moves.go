package dbaas

import (
	"sync"

	"github.com/backplane/backplane/ent"
)

// moves tells watches of operations that have moved on in this process.
type moves struct {
	mu   sync.Mutex
	next chan struct{} // closed at the next move
}

func newMoves() *moves { return &moves{next: make(chan struct{})} }

func (m *moves) tell(*ent.Operation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.next)
	m.next = make(chan struct{})
}

// after is closed when something moves on from now.
func (m *moves) after() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.next
}

// Package lifecycle closes what was opened, newest first.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Stack holds what must be closed. The zero value is ready; methods are safe
// for concurrent use.
type Stack struct {
	mu    sync.Mutex
	items []item
}

type item struct {
	name  string
	close func(context.Context) error
}

// Push adds something to close; name says what in errors.
func (s *Stack) Push(name string, closer func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items = append(s.items, item{name, closer})
}

// Close closes everything, last pushed first, and joins the errors. The stack
// is empty afterwards. ctx bounds each closer.
func (s *Stack) Close(ctx context.Context) error {
	s.mu.Lock()
	items := s.items
	s.items = nil
	s.mu.Unlock()
	var errList []error
	for _, it := range slices.Backward(items) {
		if err := it.close(ctx); err != nil {
			errList = append(errList, fmt.Errorf("close %s: %w", it.name, err))
		}
	}
	return errors.Join(errList...)
}

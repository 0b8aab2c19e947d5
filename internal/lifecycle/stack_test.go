package lifecycle_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/internal/lifecycle"
)

func TestClose(t *testing.T) {
	t.Parallel()
	var s lifecycle.Stack
	var closed []string
	broken := errors.New("stuck")
	for _, name := range []string{"first", "second", "third"} {
		s.Push(name, func(context.Context) error {
			closed = append(closed, name)
			if name == "second" {
				return broken
			}
			return nil
		})
	}
	err := s.Close(t.Context())
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "second") {
		t.Errorf("close says %v", err)
	}
	if !slices.Equal(closed, []string{"third", "second", "first"}) {
		t.Errorf("closed in the order %v", closed)
	}
	if err := s.Close(t.Context()); err != nil || len(closed) != 3 {
		t.Errorf("the second time: %v, %v", err, closed)
	}
}

package intercept

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// What an interceptor adds to the context reaches those inside of it, and what
// those return passes through it.
func TestChainRunsFromTheOutsideIn(t *testing.T) {
	type key struct{}
	seen := func(ctx context.Context) []string {
		s, _ := ctx.Value(key{}).([]string)
		return s
	}
	inner := errors.New("from the call")
	link := func(name string) Interceptor {
		return func(ctx context.Context, method string, next Handler) error {
			if method != "/a.B/C" {
				t.Errorf("%s is told of the method %q", name, method)
			}
			err := next(context.WithValue(ctx, key{}, append(seen(ctx), name)))
			return errors.Join(err, errors.New(name))
		}
	}
	chain := Chain{link("a"), link("b"), link("c")}
	for range 2 { // a call leaves nothing behind for the next one
		err := chain.run(t.Context(), "/a.B/C", func(ctx context.Context) error {
			if got := seen(ctx); !slices.Equal(got, []string{"a", "b", "c"}) {
				t.Errorf("the call was reached by %v", got)
			}
			return inner
		})
		if !errors.Is(err, inner) || err.Error() != "from the call\nc\nb\na" {
			t.Errorf("the chain returned %q", err)
		}
	}
	if err := (Chain{}).run(t.Context(), "/a.B/C", func(context.Context) error { return inner }); !errors.Is(err, inner) {
		t.Errorf("an empty chain returned %v", err)
	}
}

package errs

import (
	"context"
	"errors"
	"slices"
	"testing"
)

func TestJoinFaults(t *testing.T) {
	plain := context.Background()
	faulty := WithFaults(plain, Field{"plan", "not a URL"}, Field{"services", "not a list"})
	other := errors.New("other")
	for name, c := range map[string]struct {
		ctx  context.Context
		err  error
		want []Field
		same bool // it is err
	}{
		"nothing wrong":      {ctx: plain, same: true},
		"no faults":          {ctx: plain, err: other, same: true},
		"faults alone":       {ctx: faulty, want: []Field{{"plan", "not a URL"}, {"services", "not a list"}}},
		"more of other":      {ctx: faulty, err: Invalid(Field{"name", "missing"}), want: []Field{{"plan", "not a URL"}, {"services", "not a list"}, {"name", "missing"}}},
		"more of the same":   {ctx: faulty, err: Invalid(Field{"plan", "missing"}, Field{"name", "bad"}), want: []Field{{"plan", "not a URL"}, {"services", "not a list"}, {"name", "bad"}}},
		"may not see it":     {ctx: faulty, err: New(NotFound, "Not found"), same: true},
		"may not do it":      {ctx: faulty, err: New(PermissionDenied, "no"), same: true},
		"something unheard":  {ctx: faulty, err: other, same: true},
		"nothing is allowed": {ctx: WithFaults(plain), err: other, same: true},
	} {
		err := JoinFaults(c.ctx, c.err)
		if c.same {
			if !errors.Is(err, c.err) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) || e.Reason != ValidationFailed || !slices.Equal(e.Fields, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

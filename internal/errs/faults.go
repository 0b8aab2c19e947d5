package errs

import (
	"context"
	"slices"
)

type faultsKey struct{}

// WithFaults makes a call one that is going to be refused: its body has values
// that it cannot even decode. It is made all the same, without them, so that it
// tells what else is wrong. The store refuses to change anything under it.
func WithFaults(ctx context.Context, fields ...Field) context.Context {
	return context.WithValue(ctx, faultsKey{}, fields)
}

// Faults are those of a call under way, if it is going to be refused for some.
func Faults(ctx context.Context) []Field {
	fields, _ := ctx.Value(faultsKey{}).([]Field)
	return fields
}

// JoinFaults is the error of a call that came to err, with what was wrong with it
// before: the faults of all fields together. What is said of a field that could
// not be decoded, such as that it is missing, is left out. An error that concerns
// no fields stays what it is, so that nobody learns more by a fault.
func JoinFaults(ctx context.Context, err error) error {
	before := Faults(ctx)
	if len(before) == 0 {
		return err
	}
	all := slices.Clone(before)
	if err != nil {
		e := Convert(err)
		if e.Reason != ValidationFailed {
			return err
		}
		for _, f := range e.Fields {
			if !slices.ContainsFunc(before, func(b Field) bool { return b.Path == f.Path }) {
				all = append(all, f)
			}
		}
	}
	return Invalid(all...)
}

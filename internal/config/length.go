package config

import (
	"errors"
	"time"

	"github.com/spf13/pflag"

	"github.com/backplane/backplane/internal/duration"
)

// length is a flag that holds a length of time, in days too.
type length time.Duration

// lengthVar defines such a flag.
func lengthVar(f *pflag.FlagSet, to *time.Duration, name string, value time.Duration, usage string) {
	*to = value
	f.Var((*length)(to), name, usage)
}

// Set implements pflag.Value.
func (l *length) Set(text string) error {
	d, err := duration.Parse(text)
	if err != nil {
		return errors.New("must be a time such as 30s, 15m, 12h or 7d")
	}
	*l = length(d)
	return nil
}

// String implements pflag.Value.
func (l *length) String() string { return time.Duration(*l).String() }

// Type implements pflag.Value.
func (*length) Type() string { return "duration" }

package duration_test

import (
	"testing"
	"time"

	"github.com/backplane/backplane/internal/duration"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"15m": 15 * time.Minute, "12h": 12 * time.Hour, "7d": 7 * 24 * time.Hour, "0s": 0, "0d": 0, "1h30m": 90 * time.Minute,
		"65535d": 65535 * 24 * time.Hour,
	} {
		if got, err := duration.Parse(text); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "7", "-1d", "+1d", "1.5d", "65536d", "1d12h", "7 d", "soon", "99999999999h"} {
		if got, err := duration.Parse(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

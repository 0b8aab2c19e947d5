// Package duration reads the times that people write: 30m, 12h, 7d.
package duration

import (
	"strconv"
	"strings"
	"time"
)

// Parse is time.ParseDuration, and also reads a number of days.
func Parse(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}

package param

import (
	"errors"
	"strings"
	"time"
)

// parseThrottling reads an object with count, window and suppress, or a text
// with the three of them in this order.
func parseThrottling(v any) (any, error) {
	wrong := errors.New("must be an object with count, window and suppress, or a text with these three")
	given, ok := v.(map[string]any)
	if !ok {
		text, err := parseText(v)
		parts := strings.Split(text, ",")
		if err != nil || len(parts) != 3 {
			return nil, wrong
		}
		given = map[string]any{"count": strings.TrimSpace(parts[0]), "window": strings.TrimSpace(parts[1]), "suppress": strings.TrimSpace(parts[2])}
	}
	specs := Specs{
		{Name: "count", Type: TypeCount},
		{Name: "window", Type: TypeDuration, Unit: time.Millisecond},
		{Name: "suppress", Type: TypeDuration, Unit: time.Millisecond},
	}
	set, faults := ParseSome(specs, given)
	if len(faults) > 0 || len(set.values) != len(specs) {
		return nil, wrong
	}
	return map[string]any{"count": set.Int("count"), "window": set.Duration("window").Milliseconds(), "suppress": set.Duration("suppress").Milliseconds()}, nil
}

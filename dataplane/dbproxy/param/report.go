package param

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Hidden is shown in place of a password, and means, when it comes back, that
// the password stays.
const Hidden = "*****"

// Report is every parameter as it is shown, given or not: durations as "…ms",
// sizes as numbers, no password.
func (s Set) Report() map[string]any {
	out := make(map[string]any, len(s.specs))
	for i := range s.specs {
		if spec := &s.specs[i]; !spec.Ignored {
			out[spec.Name] = spec.report(s.value(spec.Name), false)
		}
	}
	return out
}

// Plain is what was given as JSON to read again, passwords included.
func (s Set) Plain() map[string]any {
	out := make(map[string]any, len(s.values))
	for i := range s.specs {
		spec := &s.specs[i]
		if v, ok := s.values[spec.Name]; ok {
			out[spec.Name] = spec.report(v, true)
		}
	}
	return out
}

func (s *Spec) report(v any, plain bool) any {
	switch v := v.(type) {
	case nil:
		if s.Type == TypeBool {
			return false
		}
		return nil
	case time.Duration:
		return strconv.FormatInt(v.Milliseconds(), 10) + "ms"
	case *Regex:
		if v == nil {
			return nil
		}
		return v.String()
	case []string:
		if s.Type == TypeEnumMask {
			return strings.Join(v, ",")
		}
		return slices.Clone(v)
	case string:
		if s.Type == TypePassword && !plain {
			return Hidden
		}
	}
	return v
}

// Secrets are the names of the passwords among the parameters.
func (s Specs) Secrets() (names []string) {
	for i := range s {
		if s[i].Type == TypePassword {
			names = append(names, s[i].Name)
		}
	}
	return names
}

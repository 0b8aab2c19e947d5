package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	"github.com/backplane/backplane/internal/errs"
)

const (
	maxName        = 128 // characters
	maxDescription = 4096
	maxTags        = 32
	maxLabels      = 64
	maxLabelValue  = 256
	minInterval    = 10 * time.Second
	maxInterval    = 30 * 24 * time.Hour
	maxThreshold   = 100
	maxConfigSize  = 64 << 10 // bytes, as JSON
)

var (
	tagShape = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,62}$`)
	keyShape = regexp.MustCompile(`^([a-z0-9][a-z0-9_.-]{0,62}/)?[a-z0-9][a-z0-9_.-]{0,62}$`)
)

// fold makes texts equal that differ in case alone.
func fold(text string) string { return cases.Fold().String(norm.NFC.String(text)) }

// nameKey is equal for names that differ in case alone.
func nameKey(name string) string {
	sum := sha256.Sum256([]byte(fold(name)))
	return hex.EncodeToString(sum[:])
}

// checkName trims a name; users find services by name, so it must not look
// like an id or a pattern.
func checkName(name string) (string, []errs.Field) {
	name = strings.TrimSpace(name)
	bad := func(m string) (string, []errs.Field) { return "", []errs.Field{{Path: "name", Message: m}} }
	switch n := utf8.RuneCountInString(name); {
	case n == 0:
		return bad("is required: 1 to 128 characters")
	case n > maxName:
		return bad("must have 1 to 128 characters")
	case strings.ContainsFunc(name, unicode.IsControl):
		return bad("must not contain control characters")
	case strings.Contains(name, "*"):
		return bad("must not contain *")
	}
	if _, err := uuid.Parse(name); err == nil {
		return bad("must not be shaped like a UUID")
	}
	return name, nil
}

func checkTags(tags []string) (faults []errs.Field) {
	if len(tags) > maxTags {
		faults = append(faults, errs.Field{Path: "tags", Message: fmt.Sprintf("must have at most %d entries", maxTags)})
	}
	seen := map[string]bool{}
	for i, t := range tags {
		path := fmt.Sprintf("tags[%d]", i)
		if !tagShape.MatchString(t) {
			faults = append(faults, errs.Field{Path: path, Message: "must match [a-z0-9][a-z0-9_.-]{0,62}"})
		}
		if seen[t] {
			faults = append(faults, errs.Field{Path: path, Message: "is given twice"})
		}
		seen[t] = true
	}
	return faults
}

func checkLabels(labels map[string]string) (faults []errs.Field) {
	if len(labels) > maxLabels {
		faults = append(faults, errs.Field{Path: "labels", Message: fmt.Sprintf("must have at most %d entries", maxLabels)})
	}
	for k, v := range labels {
		if !keyShape.MatchString(k) {
			faults = append(faults, errs.Field{Path: "labels." + k, Message: "the key must match [a-z0-9][a-z0-9_.-]{0,62}, optionally after a prefix and /"})
		}
		if utf8.RuneCountInString(v) > maxLabelValue || strings.ContainsFunc(v, unicode.IsControl) {
			faults = append(faults, errs.Field{Path: "labels." + k, Message: "the value must have at most 256 characters and no control characters"})
		}
	}
	return faults
}

func checkDescription(d string) []errs.Field {
	if utf8.RuneCountInString(d) > maxDescription {
		return []errs.Field{{Path: "description", Message: "must have at most 4096 characters"}}
	}
	return nil
}

func checkCheck(c *catalogv1.Check) (faults []errs.Field) {
	if c == nil {
		return nil
	}
	bad := func(field, m string) { faults = append(faults, errs.Field{Path: "check." + field, Message: m}) }
	interval, timeout := c.GetInterval().AsDuration(), c.GetTimeout().AsDuration()
	if interval < minInterval || interval > maxInterval {
		bad("interval", `must be "10s" to "2592000s"`)
	}
	if c.Timeout != nil && (timeout < time.Second || timeout > 30*time.Second || timeout > interval) {
		bad("timeout", `must be "1s" to "30s" and not above the interval`)
	}
	if c.GetFailuresBeforeCritical() > maxThreshold {
		bad("failures_before_critical", "must be 1 to 100")
	}
	if c.GetSuccessesBeforePassing() > maxThreshold {
		bad("successes_before_passing", "must be 1 to 100")
	}
	return faults
}

// parseID reads the id of a service. What is no UUID cannot be found.
func parseID(id string) (uuid.UUID, error) {
	parsed, err := uuid.Parse(id)
	if err != nil || len(id) != 36 {
		return uuid.Nil, missing()
	}
	return parsed, nil
}

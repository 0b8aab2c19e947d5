package connectors

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// PEM is the media type of keys and certificates as PEM text.
const PEM = "application/x-pem-file"

// Kind is the JSON type of a configuration field.
type Kind int

// The kinds of configuration fields.
const (
	String  Kind = iota // JSON string
	Integer             // JSON number without a fraction
	Boolean             // JSON true or false
	Strings             // JSON array of strings
)

// String names the kind as an error message does.
func (k Kind) String() string {
	switch k {
	case Integer:
		return "an integer"
	case Boolean:
		return "true or false"
	case Strings:
		return "a list of strings"
	default:
		return "a string"
	}
}

// Spec describes one type of backend: what its configuration may hold.
type Spec struct {
	Type   string  // name in service_type, lower case
	Title  string  // name for people
	Doc    string  // one sentence
	Fields []Field // in the order a form shows them
	// Check finds faults that concern several fields at once. It runs after
	// every single field was found good. May be nil.
	Check func(c Config, env Env) []Fault
	// Derive fills defaults that depend on other fields, such as a port that
	// depends on the encryption. It runs before Check and must only add keys
	// that are absent. May be nil.
	Derive func(c Config)
}

// Field describes one configuration key.
type Field struct {
	Name     string
	Kind     Kind
	Doc      string
	Required bool
	// Secret fields are write-only: sealed at rest, never shown again.
	Secret bool
	// Mask, when set, makes the field partly secret: it is sealed as a whole
	// and shown as Mask(value). A written value that equals the mask of the
	// stored one keeps the stored one. Parts lists the secrets inside a value,
	// for scrubbing.
	Mask    func(value string) string
	Parts   func(value string) []string
	Default any      // string, int64, bool or []string; nil for none
	Enum    []string // allowed values of a String; empty for any
	// Min and Max bound an Integer, or the length in bytes of a String, or the
	// count of a Strings. Both zero means: no bound for an Integer, 4096 bytes
	// for a String (64 KiB when Multiline), 64 entries for a Strings.
	Min, Max  int64
	Multiline bool // may hold line breaks
	// MediaType says what the text of a String is, such as PEM; "" for nothing
	// that has a media type.
	MediaType string
	// Check refuses a value of the right kind; its error says what the value
	// should be, without repeating it. May be nil.
	Check func(value any, env Env) error
}

// Sealed reports whether the field's value is sealed at rest.
func (f Field) Sealed() bool { return f.Secret || f.Mask != nil }

// Fault is one thing wrong with a configuration.
type Fault struct {
	Field   string // key inside config; "" for the configuration as a whole
	Message string // what it should be; never repeats a secret
}

// Config is a validated configuration: the values are string, int64, bool or
// []string. An absent key means "not set".
type Config map[string]any

// Has reports whether the key is set.
func (c Config) Has(key string) bool { _, ok := c[key]; return ok }

// String returns a string value, "" when absent.
func (c Config) String(key string) string { s, _ := c[key].(string); return s }

// Int returns an integer value, 0 when absent.
func (c Config) Int(key string) int64 { n, _ := c[key].(int64); return n }

// Bool returns a boolean value, false when absent.
func (c Config) Bool(key string) bool { b, _ := c[key].(bool); return b }

// Strings returns a list value, nil when absent.
func (c Config) Strings(key string) []string { l, _ := c[key].([]string); return l }

// Field finds a field by name.
func (s Spec) Field(name string) (Field, bool) {
	i := slices.IndexFunc(s.Fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return s.Fields[i], true
}

// Secrets returns the secret strings inside c: what must never be shown.
func (s Spec) Secrets(c Config) []string {
	var out []string
	for _, f := range s.Fields {
		if v := c.String(f.Name); v != "" && f.Sealed() {
			out = append(out, v)
			if f.Parts != nil {
				out = append(out, f.Parts(v)...)
			}
		}
	}
	return out
}

// Validate turns decoded JSON into a Config with defaults applied. It reports
// every fault at once, in the order of the fields, unknown keys last. A null
// or absent key takes its default. Numbers are float64 (as encoding/json
// decodes them) or int64; nothing is coerced from one JSON type to another.
func (s Spec) Validate(raw map[string]any, env Env) (Config, []Fault) {
	c := make(Config, len(s.Fields))
	var faults []Fault
	for _, f := range s.Fields {
		v, present := raw[f.Name]
		if !present || v == nil {
			if f.Default != nil {
				c[f.Name] = f.Default
			} else if f.Required {
				faults = append(faults, Fault{f.Name, "is required: " + f.wants()})
			}
			continue
		}
		val, err := f.convert(v, env)
		if err != nil {
			faults = append(faults, Fault{f.Name, err.Error()})
			continue
		}
		c[f.Name] = val
	}
	for _, key := range unknownKeys(raw, s) {
		faults = append(faults, Fault{key, s.unknown(key)})
	}
	if len(faults) > 0 {
		return nil, faults
	}
	if s.Derive != nil {
		s.Derive(c)
	}
	if s.Check != nil {
		if faults = s.Check(c, env); len(faults) > 0 {
			return nil, faults
		}
	}
	return c, nil
}

// WithDefaults completes a configuration that was stored without its defaults
// and secrets, for showing it. It validates nothing and leaves raw as it is.
func (s Spec) WithDefaults(raw map[string]any) Config {
	c := make(Config, len(s.Fields))
	for _, f := range s.Fields {
		v := raw[f.Name]
		if n, ok := v.(float64); ok && f.Kind == Integer {
			v = int64(n)
		}
		if v == nil {
			v = f.Default
		}
		if v != nil {
			c[f.Name] = v
		}
	}
	if s.Derive != nil {
		s.Derive(c)
	}
	return c
}

func unknownKeys(raw map[string]any, s Spec) []string {
	var keys []string
	for key := range raw {
		if _, ok := s.Field(key); !ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func (s Spec) unknown(key string) string {
	names := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		names[i] = f.Name
	}
	slices.Sort(names)
	best, bestDist := "", 3
	for _, n := range names {
		if d := distance(key, n); d < bestDist {
			best, bestDist = n, d
		}
	}
	msg := fmt.Sprintf("is not a field of a %s service; its fields are %s", s.Type, strings.Join(names, ", "))
	if best != "" {
		msg = fmt.Sprintf("is not a field of a %s service; did you mean %q?", s.Type, best)
	}
	return msg
}

// wants says what a good value looks like.
func (f Field) wants() string {
	switch {
	case len(f.Enum) > 0:
		return "one of " + strings.Join(f.Enum, ", ")
	case f.Kind == Integer && f.bounded():
		return fmt.Sprintf("an integer from %d to %d", f.Min, f.Max)
	default:
		return f.Kind.String()
	}
}

func (f Field) bounded() bool { return f.Min != 0 || f.Max != 0 }

func (f Field) convert(v any, env Env) (any, error) {
	out, err := f.typed(v)
	if err != nil {
		return nil, err
	}
	if f.Check != nil {
		if err := f.Check(out, env); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (f Field) typed(v any) (any, error) {
	mismatch := fmt.Errorf("must be %s", f.wants())
	switch f.Kind {
	case Integer:
		n, ok := integer(v)
		if !ok || f.bounded() && (n < f.Min || n > f.Max) {
			return nil, mismatch
		}
		return n, nil
	case Boolean:
		b, ok := v.(bool)
		if !ok {
			return nil, mismatch
		}
		return b, nil
	case Strings:
		return f.list(v, mismatch)
	default:
		s, ok := v.(string)
		if !ok {
			return nil, mismatch
		}
		if len(f.Enum) > 0 && !slices.Contains(f.Enum, s) {
			return nil, mismatch
		}
		return s, f.checkText(s)
	}
}

func (f Field) list(v any, mismatch error) (any, error) {
	var out []string
	switch l := v.(type) {
	case []string:
		out = slices.Clone(l)
	case []any:
		for _, e := range l {
			s, ok := e.(string)
			if !ok {
				return nil, mismatch
			}
			out = append(out, s)
		}
	default:
		return nil, mismatch
	}
	lo, hi := f.Min, f.Max
	if !f.bounded() {
		hi = 64
	}
	if n := int64(len(out)); n < lo || n > hi {
		return nil, fmt.Errorf("must have %d to %d entries", lo, hi)
	}
	for _, s := range out {
		if err := noControl(s, false); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (f Field) checkText(s string) error {
	lo, hi := f.Min, f.Max
	if !f.bounded() {
		hi = 4096
		if f.Multiline {
			hi = 64 << 10
		}
	}
	if f.Required && lo == 0 {
		lo = 1
	}
	if n := int64(len(s)); n < lo || n > hi {
		return fmt.Errorf("must be %d to %d bytes long", lo, hi)
	}
	return noControl(s, f.Multiline)
}

// noControl refuses what could break out of a protocol line.
func noControl(s string, multiline bool) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("must be UTF-8 text")
	}
	bad := "\x00\r\n"
	if multiline {
		bad = "\x00"
	}
	if strings.ContainsAny(s, bad) {
		return fmt.Errorf("must not contain line breaks or NUL")
	}
	return nil
}

func integer(v any) (int64, bool) {
	switch n := v.(type) {
	case int64:
		return n, true
	case float64:
		if n != math.Trunc(n) || math.Abs(n) > 1<<53 {
			return 0, false
		}
		return int64(n), true
	default:
		return 0, false
	}
}

// distance is the Levenshtein distance, for "did you mean".
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diag
			if a[i-1] != b[j-1] {
				cost++
			}
			diag = row[j]
			row[j] = min(row[j]+1, row[j-1]+1, cost)
		}
	}
	return row[len(b)]
}

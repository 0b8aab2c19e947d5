package param

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// parse reads one value. nil without an error resets the parameter.
func (s *Spec) parse(v any) (any, error) {
	switch s.Type {
	case TypeBool:
		return parseBool(v)
	case TypeInt, TypeCount:
		return s.parseNumber(v)
	case TypeSize:
		return s.parseSize(v)
	case TypeDuration:
		return s.parseDuration(v)
	case TypeEnum:
		return s.parseEnum(v)
	case TypeEnumMask:
		return s.parseMask(v)
	case TypeStringList:
		return parseList(v)
	case TypeObject:
		if o, ok := v.(map[string]any); ok {
			return o, nil
		}
		return nil, errors.New("must be an object")
	case TypeThrottling:
		return parseThrottling(v)
	}
	text, err := parseText(v)
	if err != nil || text == "" {
		return nil, err
	}
	switch s.Type {
	case TypeRegex:
		return ParseRegex(text)
	case TypeHost:
		return text, checkHost(text)
	}
	if strings.ContainsRune(text, 0) {
		return nil, errors.New("must not hold a NUL")
	}
	return s.renamed(text), nil
}

// renamed is a list of words with the present ones in place of older ones.
func (s *Spec) renamed(text string) string {
	if s.EnumAliases == nil {
		return text
	}
	words := strings.Split(text, ",")
	for i, word := range words {
		if other, ok := s.EnumAliases[strings.ToLower(strings.TrimSpace(word))]; ok {
			words[i] = other
		}
	}
	return strings.Join(words, ",")
}

// number is a value as a number's text, for what is one.
func number(v any) (string, bool) {
	switch v := v.(type) {
	case json.Number:
		return v.String(), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case int:
		return strconv.Itoa(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	}
	return "", false
}

// parseText takes numbers and truth values for texts: some clients type what
// they are given by its look.
func parseText(v any) (string, error) {
	if text, ok := number(v); ok {
		return text, nil
	}
	switch v := v.(type) {
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	}
	return "", errors.New("must be a string")
}

func parseBool(v any) (any, error) {
	if b, ok := v.(bool); ok {
		return b, nil
	}
	text, _ := parseText(v) //nolint:errcheck // what is no text is no truth value
	switch strings.ToLower(text) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return nil, errors.New("must be true or false")
}

func (s *Spec) parseNumber(v any) (any, error) {
	text, err := parseText(v)
	if err != nil {
		return nil, errors.New("must be a number")
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return nil, errors.New("must be a whole number")
	}
	if s.Type == TypeCount && n < 0 {
		return nil, errors.New("must not be negative")
	}
	return n, s.bounded(n)
}

func (s *Spec) bounded(n int64) error {
	if s.Max > s.Min && (n < s.Min || n > s.Max) {
		return fmt.Errorf("must be between %d and %d", s.Min, s.Max)
	}
	return nil
}

var sizeUnits = map[string]int64{
	"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40,
}

func (s *Spec) parseSize(v any) (any, error) {
	text, err := parseText(v)
	if err != nil {
		return nil, errors.New("must be a size, as 64Ki")
	}
	text = strings.TrimSpace(text)
	if s.Negative && text == "-1" {
		return int64(-1), nil
	}
	digits := strings.TrimRight(text, "kKmMgGtTiI")
	n, err := strconv.ParseInt(digits, 10, 64)
	unit, ok := sizeUnits[strings.ToLower(text[len(digits):])]
	if err != nil || !ok || n < 0 || n > math.MaxInt64/unit {
		return nil, errors.New("must be a size: a number, also with k, M, G, T, Ki, Mi, Gi or Ti after it")
	}
	return n * unit, s.bounded(n * unit)
}

var durationUnits = map[string]time.Duration{
	"h": time.Hour, "m": time.Minute, "min": time.Minute, "s": time.Second, "ms": time.Millisecond,
}

func (s *Spec) unit() time.Duration {
	if s.Unit == 0 {
		return time.Second
	}
	return s.Unit
}

func (s *Spec) parseDuration(v any) (any, error) {
	wrong := errors.New("must be a duration: a number with h, m, s or ms after it")
	text, err := parseText(v)
	if err != nil {
		return nil, wrong
	}
	text = strings.TrimSpace(text)
	digits := strings.TrimRight(strings.ToLower(text), "hmins")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return nil, wrong
	}
	unit := s.unit()
	if suffix := strings.ToLower(text)[len(digits):]; suffix != "" {
		if unit = durationUnits[suffix]; unit == 0 {
			return nil, wrong
		}
	}
	switch {
	case n < 0 && s.Negative:
		return -s.unit(), nil
	case n < 0:
		return nil, errors.New("must not be negative")
	case n > math.MaxInt64/int64(unit):
		return nil, errors.New("is too long")
	}
	d := time.Duration(n) * unit
	if s.unit() >= time.Second && !s.Fine {
		d = d.Truncate(time.Second) // what is counted in seconds has no finer parts
	}
	return d, s.bounded(int64(d))
}

func (s *Spec) enumValue(text string) (string, bool) {
	text = strings.TrimSpace(text)
	if other, ok := s.EnumAliases[strings.ToLower(text)]; ok {
		text = other
	}
	for _, e := range s.Enum {
		if strings.EqualFold(e, text) {
			return e, true
		}
	}
	return "", false
}

func (s *Spec) parseEnum(v any) (any, error) {
	text, err := parseText(v)
	if err == nil {
		if e, ok := s.enumValue(text); ok {
			return e, nil
		}
	}
	return nil, fmt.Errorf("must be one of %s", strings.Join(s.Enum, ", "))
}

func (s *Spec) parseMask(v any) (any, error) {
	list, err := parseList(v)
	if err != nil || list == nil {
		return nil, err
	}
	out := []string{}
	words := list.([]string)
	for _, word := range words {
		if _, ok := s.enumValue(word); !ok {
			return nil, fmt.Errorf("may have %s, not %q", strings.Join(s.Enum, ", "), word)
		}
	}
	for _, e := range s.Enum {
		if slices.ContainsFunc(words, func(w string) bool { got, _ := s.enumValue(w); return got == e }) {
			out = append(out, e)
		}
	}
	return out, nil
}

func parseList(v any) (any, error) {
	var out []string
	if many, ok := v.([]string); ok {
		return slices.Clone(many), nil
	}
	if many, ok := v.([]any); ok {
		for _, one := range many {
			text, err := parseText(one)
			if err != nil {
				return nil, errors.New("must be a list of strings")
			}
			out = append(out, text)
		}
		return out, nil
	}
	text, err := parseText(v)
	if err != nil {
		return nil, errors.New("must be a list of strings")
	}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	if out == nil {
		return nil, nil
	}
	return out, nil
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([-A-Za-z0-9_.]*[A-Za-z0-9_.])?$`)

func checkHost(text string) error {
	if _, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil || len(text) <= 253 && hostName.MatchString(text) {
		return nil
	}
	return errors.New("must be a host name or an IP address")
}

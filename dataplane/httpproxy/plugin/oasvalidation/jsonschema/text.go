package jsonschema

import (
	"encoding/base64"
	"net/netip"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// format is what a string must look like. Formats that are not among these are
// not checked.
type format struct {
	name   string
	check  func(s string) bool // nil for none
	binary bool                // the content is no text
}

var dateTime = regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$`)

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)

// formatOf is a format by its name, nil if it is not checked.
func formatOf(name string) *format {
	switch name {
	case "date":
		return &format{name: name, check: isDate}
	case "date-time":
		return &format{name: name, check: isDateTime}
	case "uuid":
		return &format{name: name, check: uuid.MatchString}
	case "ipv4":
		return &format{name: name, check: func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is4() }}
	case "ipv6":
		return &format{name: name, check: func(s string) bool {
			a, err := netip.ParseAddr(s)
			return err == nil && a.Is6() && a.Zone() == ""
		}}
	case "byte":
		return &format{name: name, check: isBase64}
	case "binary":
		return &format{name: name, binary: true}
	}
	return nil
}

func isDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

// isDateTime tells whether a string is a date-time (RFC 3339, 5.6), leap seconds
// included.
func isDateTime(s string) bool {
	if !dateTime.MatchString(s) || !isDate(s[:10]) {
		return false
	}
	zone := s[19:]
	if i := strings.LastIndexAny(zone, "+-"); i >= 0 && (zone[i+1:i+3] > "23" || zone[i+4:] > "59") {
		return false
	}
	return s[11:13] <= "23" && s[14:16] <= "59" && s[17:19] <= "60"
}

func isBase64(s string) bool {
	s = strings.TrimRight(s, "=")
	if strings.ContainsAny(s, "-_") {
		_, err := base64.RawURLEncoding.DecodeString(s)
		return err == nil
	}
	_, err := base64.RawStdEncoding.DecodeString(s)
	return err == nil
}

// checkFile checks what is not looked at: rules for what is in it are broken.
func (r *textRules) checkFile(e *evaluation, file File) bool {
	ok := r.checkLength(e, file.Size)
	if r.pattern != nil {
		e.fault("pattern", r.pattern.text)
		ok = false
	}
	if f := r.format; f != nil && f.check != nil && f.name != "byte" && !e.lenient {
		e.fault("format", f.name)
		ok = false
	}
	return ok
}

func (r *textRules) checkLength(e *evaluation, n int) bool {
	switch {
	case n < r.min:
		e.fault("minLength", r.min)
		return false
	case r.max >= 0 && n > r.max:
		e.fault("maxLength", r.max)
		return false
	}
	return true
}

func (r *textRules) check(e *evaluation, s string) bool {
	ok := true
	if r.min > 0 || r.max >= 0 {
		ok = r.checkLength(e, utf8.RuneCountInString(s))
	}
	if !ok && !e.more() {
		return false
	}
	if r.pattern != nil && !r.pattern.match(e, s) {
		e.fault("pattern", r.pattern.text)
		ok = false
	}
	if f := r.format; f != nil && f.check != nil && !e.lenient && !f.check(s) {
		e.fault("format", f.name)
		ok = false
	}
	return ok
}

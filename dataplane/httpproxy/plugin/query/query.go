// Package query reads and changes what is written like the query of a URL,
// without taking all of it apart: other arguments stay as they were sent.
package query

import (
	"net/url"
	"strings"
)

// Find is the first value under a name, and how many arguments have the name.
// Names and values are without escapes; what is badly escaped is taken as it
// is. An argument without "=" does not count.
func Find(query, name string) (value string, n int) {
	for query != "" {
		var arg string
		arg, query, _ = strings.Cut(query, "&")
		key, v, ok := strings.Cut(arg, "=")
		if !ok || !is(key, name) {
			continue
		}
		if n++; n == 1 {
			value = unescape(v)
		}
	}
	return value, n
}

// Values are all values under a name.
func Values(query, name string) []string {
	var values []string
	for query != "" {
		var arg string
		arg, query, _ = strings.Cut(query, "&")
		if key, v, ok := strings.Cut(arg, "="); ok && is(key, name) {
			values = append(values, unescape(v))
		}
	}
	return values
}

// Has tells whether there is an argument of that name, with or without a value.
func Has(query, name string) bool {
	for query != "" {
		var arg string
		arg, query, _ = strings.Cut(query, "&")
		if key, _, _ := strings.Cut(arg, "="); is(key, name) {
			return true
		}
	}
	return false
}

// Without is the query without the arguments of a name.
func Without(query, name string) string {
	if !Has(query, name) {
		return query
	}
	var b strings.Builder
	for rest := query; rest != ""; {
		var arg string
		arg, rest, _ = strings.Cut(rest, "&")
		if key, _, _ := strings.Cut(arg, "="); is(key, name) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(arg)
	}
	return b.String()
}

func is(escaped, name string) bool { return unescape(escaped) == name }

func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

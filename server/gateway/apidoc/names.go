package apidoc

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// RouteNames gives each operation's route a name of its own: the service's, a
// dot, and the id of the operation, or its method and path if it has none or
// shares it. The part after the last dot has none, so that operations of
// different services never have the same.
func RouteNames(service string, operations []Operation) []string {
	count := map[string]int{}
	names := make([]string, len(operations))
	for i, o := range operations {
		names[i] = nameOf(o.OperationID)
		count[strings.ToLower(names[i])]++
	}
	for i, o := range operations {
		if names[i] == "" || count[strings.ToLower(names[i])] > 1 {
			names[i] = nameOf(strings.ToLower(o.Method) + o.Path)
		}
	}
	clear(count)
	for _, name := range names {
		count[strings.ToLower(name)]++
	}
	for i, o := range operations {
		if count[strings.ToLower(names[i])] > 1 || len(names[i]) > longestName {
			sum := sha256.Sum256([]byte(o.Method + " " + o.Path))
			names[i] = names[i][:min(len(names[i]), longestName)] + "~" + hex.EncodeToString(sum[:6])
		}
		names[i] = service + "." + names[i]
	}
	return names
}

const longestName = 128

// nameOf keeps of a text what names of routes may have: letters, digits, - and
// _; a run of anything else becomes one hyphen.
func nameOf(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; isWord(c) || c == '-' {
			b.WriteByte(c)
		} else if b.Len() > 0 && b.String()[b.Len()-1] != '-' {
			b.WriteByte('-')
		}
	}
	return strings.Trim(b.String(), "-")
}

package rest

import (
	"fmt"
	"slices"
	"strings"
)

// maxJSONDepth is how deeply Python reads nested JSON.
const maxJSONDepth = 1000

// jsonFault is where JSON is malformed, and how, as Python's json module says it.
// Positions count characters.
type jsonFault struct {
	What   string `json:"msg"`
	Doc    string `json:"doc"`
	Pos    int    `json:"pos"`
	Line   int    `json:"lineno"`
	Column int    `json:"colno"`
}

// Error implements error.
func (f *jsonFault) Error() string {
	return fmt.Sprintf("%s: line %d column %d (char %d)", f.What, f.Line, f.Column, f.Pos)
}

// whereJSON finds what is wrong with JSON; false if nothing is, or if it is
// nested too deeply to tell.
func whereJSON(text string) (*jsonFault, bool) {
	s := &jsonScan{text: []rune(text)}
	at := s.space(0)
	if at = s.value(at, 0); s.fault == "" && !s.deep {
		if at = s.space(at); at < len(s.text) {
			s.stop("Extra data", at)
		}
	}
	if s.fault == "" {
		return nil, false
	}
	before := s.text[:min(s.at, len(s.text))]
	out := &jsonFault{What: s.fault, Doc: text, Pos: s.at, Line: 1, Column: s.at + 1}
	for i, c := range before {
		if c == '\n' {
			out.Line++
			out.Column = s.at - i
		}
	}
	return out, true
}

// jsonScan reads JSON to its first fault. Each method reads what its name says
// from a position, and returns the one behind it.
type jsonScan struct {
	text  []rune
	fault string
	at    int
	deep  bool
}

// stop ends the scan.
func (s *jsonScan) stop(fault string, at int) int {
	if s.fault == "" {
		s.fault, s.at = fault, at
	}
	return len(s.text)
}

func (s *jsonScan) stopped() bool { return s.fault != "" || s.deep }

// is reports whether a character is somewhere.
func (s *jsonScan) is(c rune, at int) bool { return at < len(s.text) && s.text[at] == c }

func (s *jsonScan) space(at int) int {
	for at < len(s.text) && strings.ContainsRune(" \t\n\r", s.text[at]) {
		at++
	}
	return at
}

func (s *jsonScan) value(at, depth int) int {
	if depth > maxJSONDepth {
		s.deep = true
		return len(s.text)
	}
	switch {
	case s.is('"', at):
		return s.string(at)
	case s.is('{', at):
		return s.object(at+1, depth)
	case s.is('[', at):
		return s.array(at+1, depth)
	}
	for _, word := range []string{"null", "true", "false"} {
		if end := at + len(word); end <= len(s.text) && string(s.text[at:end]) == word {
			return end
		}
	}
	if end := s.number(at); end > at {
		return end
	}
	return s.stop("Expecting value", at)
}

func (s *jsonScan) object(at, depth int) int {
	if at = s.space(at); s.is('}', at) {
		return at + 1
	}
	for {
		if !s.is('"', at) {
			return s.stop("Expecting property name enclosed in double quotes", at)
		}
		at = s.space(s.string(at))
		if !s.stopped() && !s.is(':', at) {
			return s.stop("Expecting ':' delimiter", at)
		}
		if s.stopped() {
			return at
		}
		if at = s.space(s.value(s.space(at+1), depth+1)); s.stopped() || s.is('}', at) {
			return at + 1
		}
		if !s.is(',', at) {
			return s.stop("Expecting ',' delimiter", at)
		}
		at = s.space(at + 1)
	}
}

func (s *jsonScan) array(at, depth int) int {
	if at = s.space(at); s.is(']', at) {
		return at + 1
	}
	for {
		if at = s.space(s.value(at, depth+1)); s.stopped() || s.is(']', at) {
			return at + 1
		}
		if !s.is(',', at) {
			return s.stop("Expecting ',' delimiter", at)
		}
		at = s.space(at + 1)
	}
}

func (s *jsonScan) string(begin int) int {
	for at := begin + 1; at < len(s.text); at++ {
		switch c := s.text[at]; {
		case c == '"':
			return at + 1
		case c < ' ':
			return s.stop("Invalid control character at", at)
		case c != '\\':
		case at+1 == len(s.text):
		case s.is('u', at+1):
			end := at + 6
			if end >= len(s.text) || slices.ContainsFunc(s.text[at+2:end], notHex) {
				return s.stop(`Invalid \uXXXX escape`, at+1)
			}
			at = end - 1
		case strings.ContainsRune(`"\/bfnrt`, s.text[at+1]):
			at++
		default:
			return s.stop(`Invalid \escape`, at)
		}
	}
	return s.stop("Unterminated string starting at", begin)
}

func notHex(c rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", c) }

// number reads as much as is one; nothing if none is there.
func (s *jsonScan) number(begin int) int {
	at := begin
	if s.is('-', at) {
		at++
	}
	whole := s.digits(at)
	if whole == at {
		return begin
	}
	if s.is('0', at) {
		whole = at + 1
	}
	at = whole
	if s.is('.', at) {
		if end := s.digits(at + 1); end > at+1 {
			at = end
		}
	}
	if s.is('e', at) || s.is('E', at) {
		sign := at + 1
		if s.is('+', sign) || s.is('-', sign) {
			sign++
		}
		if end := s.digits(sign); end > sign {
			at = end
		}
	}
	return at
}

func (s *jsonScan) digits(at int) int {
	for at < len(s.text) && s.text[at] >= '0' && s.text[at] <= '9' {
		at++
	}
	return at
}

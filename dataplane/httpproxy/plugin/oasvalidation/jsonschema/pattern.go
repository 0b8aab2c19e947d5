package jsonschema

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf16"
)

// pattern is a regular expression.
type pattern struct {
	re   *regexp.Regexp
	text string // as the schema has it
	cost int    // of a byte
}

// The patterns of all schemas together may have a size, and one alone: that of
// a small one is about its length.
const maxPatterns, maxPattern = 1 << 20, 1 << 14

var errPattern = errors.New("the pattern is too large")

// escapes are those of ECMA-262 that Go's regular expressions write in another
// way.
var escapes = regexp.MustCompile(`\\(\\|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|u\{[0-9a-fA-F]+\})`)

// compilePattern makes a regular expression of one of ECMA-262. There are some
// that Go's cannot say, such as those that look ahead.
func (t *Set) compilePattern(text string) (*pattern, error) {
	expression := escapes.ReplaceAllStringFunc(text, func(e string) string {
		if e[1] == '\\' {
			return e
		}
		if first, second, both := strings.Cut(e[2:], `\u`); both {
			return `\x{` + strconv.FormatInt(int64(utf16.DecodeRune(unit(first), unit(second))), 16) + `}`
		}
		return `\x{` + strings.Trim(e[2:], "{}") + `}`
	})
	tree, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return nil, err
	}
	cost := patternSize(tree)
	if cost > maxPattern || cost > t.patterns {
		return nil, errPattern
	}
	t.patterns -= cost
	re, err := regexp.Compile(expression)
	return &pattern{re, text, cost}, err
}

// unit is a unit of UTF-16 in hexadecimal digits.
func unit(digits string) rune {
	n, _ := strconv.ParseUint(digits, 16, 16)
	return rune(n)
}

// patternSize is about how large a regular expression is when it is compiled, when what
// is repeated is written out.
func patternSize(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)
	for _, sub := range re.Sub {
		if n += patternSize(sub); n > maxPattern {
			return n
		}
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return n
}

// costOfStep is how much of a pattern's cost is one step of checking.
const costOfStep = 32

func (p *pattern) match(e *evaluation, s string) bool {
	if e.steps -= len(s) * p.cost / costOfStep; e.steps < 0 {
		return false
	}
	return p.re.MatchString(s)
}

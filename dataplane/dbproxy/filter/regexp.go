package filter

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dlclark/regexp2"

	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

// MatchTimeout is how long a regular expression may work on one text. Its
// engine goes back and tries again, as that of PCRE2 does, which some
// expressions make take for ever.
const MatchTimeout = time.Second

// RegexpOptions are how a regular expression is meant.
type RegexpOptions uint8

// The options.
const (
	IgnoreCase RegexpOptions = 1 << iota
	Extended                 // white space and comments in it mean nothing
)

// Regexp is a regular expression with the syntax and meaning of PCRE2 ("PCRE2
// pattern syntax"), except for recursion, \K, \X, \C, (?|…) and the verbs that
// begin with (*, which are refused. It works on bytes, as the text of
// statements may be in any character set. It may be used by many at once.
type Regexp struct {
	engine *regexp2.Regexp
	groups int
	names  map[string]int
	texts  sync.Pool // of *[]rune
}

// CompileRegexp reads a regular expression.
func CompileRegexp(text string, options RegexpOptions) (*Regexp, error) {
	t, err := translate(text, options&Extended != 0)
	if err != nil {
		return nil, err
	}
	var flags regexp2.RegexOptions
	if options&IgnoreCase != 0 {
		flags |= regexp2.IgnoreCase
	}
	engine, err := regexp2.Compile(string(t.out), flags)
	if err != nil {
		// The engine would tell of the translation, which nobody knows.
		return nil, errors.New("is not a regular expression that can be used")
	}
	engine.MatchTimeout = MatchTimeout
	return &Regexp{engine: engine, groups: t.groups, names: t.names}, nil
}

// compileParam compiles a parameter, nil if there is none.
func compileParam(p param.Set, name string, options RegexpOptions) (*Regexp, error) {
	given := p.Regex(name)
	if given == nil {
		return nil, nil
	}
	x, err := CompileRegexp(given.Text(), options)
	if err != nil {
		return nil, param.Faults{{Name: name, Message: err.Error()}}
	}
	return x, nil
}

// ErrMatchTimeout says that an expression took too long for a text.
var ErrMatchTimeout = fmt.Errorf("a regular expression took longer than %v", MatchTimeout)

// Bytes above 0x7f are characters of the private use area to the engine, which
// are neither letters nor have upper and lower case.
const highBytes = 0xf700

func byteRune(c byte) rune {
	if c < 0x80 {
		return rune(c)
	}
	return highBytes + rune(c)
}

// maxKept is how long a buffer may be that is kept for the next text.
const maxKept = 64 << 10

// runes gives the text to the engine, and what is to be called after it.
func (x *Regexp) runes(text []byte) (*[]rune, func()) {
	buffer, ok := x.texts.Get().(*[]rune)
	if !ok {
		buffer = new([]rune)
	}
	runes := (*buffer)[:0]
	for _, c := range text {
		runes = append(runes, byteRune(c))
	}
	*buffer = runes
	return buffer, func() {
		if cap(*buffer) <= maxKept {
			x.texts.Put(buffer)
		}
	}
}

// Match tells whether the expression is found in the text. The only error is
// ErrMatchTimeout.
func (x *Regexp) Match(text []byte) (bool, error) {
	runes, done := x.runes(text)
	defer done()
	found, err := x.engine.MatchRunes(*runes)
	if err != nil {
		return false, ErrMatchTimeout
	}
	return found, nil
}

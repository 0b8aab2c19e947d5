package route

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// A pattern is a regular expression that paths begin with. Most that there are
// many of stand for templates such as /items/{id}: those are matched, and made,
// without an engine of expressions.
type pattern struct {
	re    *regexp.Regexp // nil for templates
	steps []step
	ends  bool // the whole path is matched
	names []string
}

// step is a text, or a parameter: something without a slash. What follows one is
// a slash or the end, so that there is one way only to match.
type step struct {
	text  string
	param bool
	group int // of the capture, 0 for none
}

func newPattern(expr string) (*pattern, error) {
	expr = "^(?:" + expr + ")"
	if tree, err := syntax.Parse(expr, syntax.Perl); err == nil {
		p := &pattern{names: tree.CapNames()}
		if p.read(tree) && p.definite() {
			return p, nil
		}
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, err
	}
	return &pattern{re: re, names: re.SubexpNames()}, nil
}

// read takes an expression over as steps, as far as it has nothing else.
func (p *pattern) read(tree *syntax.Regexp) bool {
	if p.ends {
		return false
	}
	switch tree.Op {
	case syntax.OpConcat:
		for _, sub := range tree.Sub {
			if !p.read(sub) {
				return false
			}
		}
		return true
	case syntax.OpLiteral:
		if tree.Flags&syntax.FoldCase != 0 || slices.Contains(tree.Rune, utf8.RuneError) {
			return false
		}
		p.steps = append(p.steps, step{text: string(tree.Rune)})
		return true
	case syntax.OpEndText:
		p.ends = true
		return true
	case syntax.OpBeginText:
		return len(p.steps) == 0
	case syntax.OpEmptyMatch:
		return true
	case syntax.OpCapture:
		if isParameter(tree.Sub[0]) {
			p.steps = append(p.steps, step{param: true, group: tree.Cap})
			return true
		}
		return false
	}
	if isParameter(tree) {
		p.steps = append(p.steps, step{param: true})
		return true
	}
	return false
}

// isParameter tells of [^/]+.
func isParameter(tree *syntax.Regexp) bool {
	return tree.Op == syntax.OpPlus && tree.Flags&syntax.NonGreedy == 0 && tree.Sub[0].Op == syntax.OpCharClass &&
		slices.Equal(tree.Sub[0].Rune, []rune{0, '/' - 1, '/' + 1, utf8.MaxRune})
}

// definite tells whether each parameter ends where a slash is, or the path.
func (p *pattern) definite() bool {
	for i, s := range p.steps {
		if s.param && i+1 < len(p.steps) && !strings.HasPrefix(p.steps[i+1].text, "/") {
			return false
		}
	}
	return true
}

// MatchString tells whether a path begins with what the pattern stands for.
func (p *pattern) MatchString(path string) bool {
	if p.re != nil {
		return p.re.MatchString(path)
	}
	_, ok := p.match(path, nil)
	return ok
}

// FindStringSubmatch are what the pattern has matched of a path, and its
// captures; nil if it does not match.
func (p *pattern) FindStringSubmatch(path string) []string {
	if p.re != nil {
		return p.re.FindStringSubmatch(path)
	}
	captures := make([]string, len(p.names))
	n, ok := p.match(path, captures)
	if !ok {
		return nil
	}
	captures[0] = path[:n]
	return captures
}

// match gives the length of what it has matched, and fills in captures if there
// is where.
func (p *pattern) match(path string, captures []string) (n int, ok bool) {
	rest := path
	for i := range p.steps {
		s := &p.steps[i]
		if !s.param {
			if !strings.HasPrefix(rest, s.text) {
				return 0, false
			}
			rest = rest[len(s.text):]
			continue
		}
		end := strings.IndexByte(rest, '/')
		if end < 0 {
			end = len(rest)
		}
		if end == 0 {
			return 0, false
		}
		if captures != nil && s.group > 0 {
			captures[s.group] = rest[:end]
		}
		rest = rest[end:]
	}
	return len(path) - len(rest), !p.ends || rest == ""
}

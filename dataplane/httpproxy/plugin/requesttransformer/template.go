package requesttransformer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// template is a value with expressions of the form $(headers.x).
type template struct {
	parts []part
}

// part is text, or alternatives of which the first one that there is counts.
type part struct {
	text string
	any  []operand
}

// operand is a reference, or text in quotes.
type operand struct {
	source source
	name   string
	number int // of a capture, -1 for none
}

// source is what a reference is to.
type source uint8

const (
	literal source = iota
	fromHeaders
	fromQuery
	fromCaptures
	fromNowhere // what only other gateways have
)

// parseTemplate reads a template. It is nil if there are no expressions.
func parseTemplate(s string) (*template, error) {
	t := &template{}
	for {
		i := strings.Index(s, "$(")
		if i < 0 {
			break
		}
		if i > 0 {
			t.parts = append(t.parts, part{text: s[:i]})
		}
		alternatives, rest, err := parseExpression(s[i+2:])
		if err != nil {
			return nil, err
		}
		t.parts, s = append(t.parts, part{any: alternatives}), rest
	}
	if t.parts == nil {
		return nil, nil
	}
	if s != "" {
		t.parts = append(t.parts, part{text: s})
	}
	return t, nil
}

var errUnfinished = errors.New("an expression has no end")

// parseExpression reads what follows "$(", up to and including ")".
func parseExpression(s string) (alternatives []operand, rest string, err error) {
	for {
		var o operand
		if o, s, err = parseOperand(strings.TrimLeft(s, " ")); err != nil {
			return nil, "", err
		}
		alternatives = append(alternatives, o)
		s = strings.TrimLeft(s, " ")
		if after, ok := strings.CutPrefix(s, ")"); ok {
			return alternatives, after, nil
		}
		after, ok := strings.CutPrefix(s, "or")
		if !ok || after == "" || strings.IndexByte(` '"`, after[0]) < 0 {
			if s == "" {
				return nil, "", errUnfinished
			}
			return nil, "", fmt.Errorf("unexpected '%.20s' in an expression", s)
		}
		s = after
	}
}

func parseOperand(s string) (operand, string, error) {
	if s != "" && (s[0] == '\'' || s[0] == '"') {
		text, rest, err := quoted(s)
		return operand{source: literal, name: text, number: -1}, rest, err
	}
	name, rest := identifier(s)
	o := operand{number: -1}
	switch name {
	case "headers":
		o.source = fromHeaders
	case "query_params":
		o.source = fromQuery
	case "uri_captures":
		o.source = fromCaptures
	case "shared":
		o.source = fromNowhere
	case "":
		return o, "", errUnfinished
	default:
		return o, "", fmt.Errorf("unknown name '%s' in an expression", name)
	}
	for first := true; ; first = false {
		var err error
		switch {
		case strings.HasPrefix(rest, "."):
			if o.name, rest = identifier(rest[1:]); o.name == "" {
				return o, "", errors.New("a name is missing after a dot")
			}
		case strings.HasPrefix(rest, "["):
			if rest, err = o.index(strings.TrimLeft(rest[1:], " ")); err != nil {
				return o, "", err
			}
		case first:
			return o, "", fmt.Errorf("'%s' needs a name", name)
		default:
			return o, rest, nil
		}
		if !first && o.source != fromNowhere {
			return o, "", fmt.Errorf("'%s' has no deeper names", name)
		}
	}
}

// index reads what follows "[", up to and including "]".
func (o *operand) index(s string) (rest string, err error) {
	if s != "" && (s[0] == '\'' || s[0] == '"') {
		o.name, s, err = quoted(s)
		if err != nil {
			return "", err
		}
	} else {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", errUnfinished
		}
		o.name = strings.TrimSpace(s[:end])
		if o.number, err = strconv.Atoi(o.name); err != nil || o.number < 0 {
			return "", fmt.Errorf("'%s' is no index", o.name)
		}
		s = s[end:]
	}
	after, ok := strings.CutPrefix(strings.TrimLeft(s, " "), "]")
	if !ok {
		return "", errUnfinished
	}
	return after, nil
}

func identifier(s string) (name, rest string) {
	i := 0
	for i < len(s) && (s[i] == '_' || s[i] == '-' && i > 0 || s[i] >= '0' && s[i] <= '9' ||
		s[i] >= 'a' && s[i] <= 'z' || s[i] >= 'A' && s[i] <= 'Z') {
		i++
	}
	return s[:i], s[i:]
}

func quoted(s string) (text, rest string, err error) {
	end := strings.IndexByte(s[1:], s[0])
	if end < 0 {
		return "", "", errUnfinished
	}
	return s[1 : end+1], s[end+2:], nil
}

// values is what references are to.
type values interface {
	value(source source, name string, number int) (string, bool)
}

// render makes the text; what there is not is empty.
func (t *template) render(from values) string {
	var b strings.Builder
	for i := range t.parts {
		p := &t.parts[i]
		b.WriteString(p.text)
		for _, o := range p.any {
			if o.source == literal {
				b.WriteString(o.name)
				break
			}
			if v, ok := from.value(o.source, o.name, o.number); ok {
				b.WriteString(v)
				break
			}
		}
	}
	return b.String()
}

package param

import (
	"errors"
	"strings"
)

// Regex is a regular expression of a user. The text is kept as it was given,
// between slashes.
type Regex struct{ text string }

// ParseRegex reads /text/ or text.
func ParseRegex(text string) (*Regex, error) {
	if len(text) >= 2 && text[0] == '/' && text[len(text)-1] == '/' {
		text = text[1 : len(text)-1]
	}
	if text == "" || strings.ContainsRune(text, 0) {
		return nil, errors.New("must be a regular expression")
	}
	return &Regex{text: text}, nil
}

// Text is the expression without the slashes.
func (r *Regex) Text() string { return r.text }

// String is the expression between slashes.
func (r *Regex) String() string { return "/" + r.text + "/" }

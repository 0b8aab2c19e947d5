package mariadbmon

import (
	"errors"
	"strings"
)

// splitCommand splits a command line into words, as a shell does: there are
// quotes of both kinds, and backslashes outside of single ones.
func splitCommand(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quote rune
	begun, escaped := false, false
	for _, c := range line {
		switch {
		case c == 0:
			return nil, errors.New("must not hold a NUL")
		case escaped:
			word.WriteRune(c)
			escaped = false
		case c == '\\' && quote != '\'':
			escaped, begun = true, true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '\'' || c == '"':
			quote, begun = c, true
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if begun {
				words = append(words, word.String())
				word.Reset()
				begun = false
			}
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	if quote != 0 || escaped {
		return nil, errors.New("has a quote that does not end")
	}
	if begun {
		words = append(words, word.String())
	}
	if len(words) > 0 && words[0] == "" {
		return nil, errors.New("must begin with the name of a program")
	}
	return words, nil
}

// substitute puts the values of an event in place of $WORD in each argument.
// What is put in stays within its argument.
func substitute(words []string, values []string) []string {
	r := strings.NewReplacer(values...)
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = r.Replace(w)
	}
	return out
}

package filter

import (
	"bytes"
	"strings"

	"github.com/backplane/backplane/dataplane/dbproxy"
)

// hintAction is what a comment asks for besides a hint for its statement.
type hintAction uint8

const (
	hintOnce    hintAction = iota // the hint is for the statement alone
	hintPrepare                   // it is remembered by its name
	hintBegin                     // it is put on the stack
	hintEnd                       // the topmost one is taken off the stack
)

// comment is what a comment tells the proxy ("Hint Syntax", MaxScale).
type hintComment struct {
	action hintAction
	name   string // of hintPrepare, and of hintBegin unless it is ""
	hint   dbproxy.Hint
	given  bool // there is a hint
}

// parseHint reads the text of a comment; ok is false if it is not meant for the
// proxy or makes no sense.
//
//	maxscale HINT | NAME prepare HINT | NAME begin [HINT] | begin HINT | end
func parseHint(comment []byte) (c hintComment, ok bool) {
	text := bytes.TrimLeft(comment, hintSpace)
	if len(text) < len("maxscale") || !strings.EqualFold(string(text[:len("maxscale")]), "maxscale") {
		return c, false
	}
	var buffer [8]string
	words, ok := hintWords(buffer[:0], string(text))
	if !ok || len(words) < 2 || !strings.EqualFold(words[0], "maxscale") {
		return c, false
	}
	words = words[1:]
	if c.hint, ok = parseRoute(words); ok {
		c.given = true
		return c, true
	}
	first := words[0]
	switch {
	case len(words) == 1 && strings.EqualFold(first, "end"):
		c.action = hintEnd
		return c, true
	case strings.EqualFold(first, "begin"):
		c.action, words = hintBegin, words[1:]
	case len(words) > 1 && strings.EqualFold(words[1], "begin"):
		c.action, c.name, words = hintBegin, first, words[2:]
		if len(words) == 0 {
			return c, true
		}
	case len(words) > 1 && strings.EqualFold(words[1], "prepare"):
		c.action, c.name, words = hintPrepare, first, words[2:]
	default:
		return c, false
	}
	c.hint, c.given = parseRoute(words)
	return c, c.given
}

// parseRoute reads a hint, which is all of the words.
func parseRoute(words []string) (dbproxy.Hint, bool) {
	is := func(i int, word string) bool { return strings.EqualFold(words[i], word) }
	switch {
	case len(words) == 3 && words[1] == "=" && words[0] != "=":
		return dbproxy.Hint{Kind: dbproxy.HintParam, Name: words[0], Value: words[2]}, true
	case len(words) == 4 && is(0, "route") && is(1, "to") && is(2, "server"):
		return dbproxy.Hint{Kind: dbproxy.HintServer, Value: words[3]}, true
	case len(words) != 3 || !is(0, "route") || !is(1, "to"):
	case is(2, "master"):
		return dbproxy.Hint{Kind: dbproxy.HintMaster}, true
	case is(2, "slave"):
		return dbproxy.Hint{Kind: dbproxy.HintSlave}, true
	case is(2, "last"):
		return dbproxy.Hint{Kind: dbproxy.HintLast}, true
	case is(2, "all"):
		return dbproxy.Hint{Kind: dbproxy.HintAll}, true
	}
	return dbproxy.Hint{}, false
}

const hintSpace = " \t\r\n\v\f"

// maxHintWords is more than a hint that makes sense has.
const maxHintWords = 8

// hintWords splits a comment at white space; = is a word of its own, and quotes
// hold a word together.
func hintWords(words []string, text string) ([]string, bool) {
	for {
		text = strings.TrimLeft(text, hintSpace)
		if text == "" {
			return words, true
		}
		if len(words) == maxHintWords {
			return nil, false
		}
		var word string
		switch c := text[0]; c {
		case '=':
			word, text = text[:1], text[1:]
		case '\'', '"':
			var closed bool
			if word, text, closed = strings.Cut(text[1:], string(c)); !closed || word == "" {
				return nil, false
			}
		default:
			end := strings.IndexAny(text, hintSpace+`='"`)
			if end < 0 {
				end = len(text)
			}
			word, text = text[:end], text[end:]
		}
		words = append(words, word)
	}
}

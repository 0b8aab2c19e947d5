package rest

import (
	"net/http"
	"strings"
)

// conditional answers 304 when the client has what it would get, and 412 when
// what there is is not what the client expects (RFC 9110, section 13).
type conditional struct {
	http.ResponseWriter
	asked   http.Header // of the request
	decided bool
	instead int // status that takes the answer's place; 0 for none
}

// isConditional reports whether a request to read has conditions.
func isConditional(h http.Header) bool {
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if h.Get(name) != "" {
			return true
		}
	}
	return false
}

// WriteHeader implements http.ResponseWriter.
func (c *conditional) WriteHeader(status int) {
	if !c.decided && status == http.StatusOK {
		c.instead = c.outcome()
	}
	c.decided = true
	if c.instead != 0 {
		status = c.instead
		c.Header().Del("Content-Type")
		c.Header().Del("Content-Length")
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (c *conditional) Write(p []byte) (int, error) {
	if !c.decided {
		c.WriteHeader(http.StatusOK)
	}
	if c.instead != 0 {
		return len(p), nil
	}
	return c.ResponseWriter.Write(p)
}

// Unwrap serves http.ResponseController.
func (c *conditional) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// outcome is the status that the conditions lead to, in the order of RFC 9110,
// section 13.2.2. What the answer does not tell is no condition.
func (c *conditional) outcome() int {
	tag, modified := c.Header().Get("Etag"), c.Header().Get("Last-Modified")
	match, none := c.asked.Get("If-Match"), c.asked.Get("If-None-Match")
	switch {
	case tag != "" && match != "":
		if !names(match, tag) {
			return http.StatusPreconditionFailed
		}
	case changedSince(modified, c.asked.Get("If-Unmodified-Since"), false):
		return http.StatusPreconditionFailed
	}
	switch {
	case tag != "" && none != "":
		if names(none, tag) {
			return http.StatusNotModified
		}
	case c.asked.Get("If-Modified-Since") != "" && !changedSince(modified, c.asked.Get("If-Modified-Since"), true):
		return http.StatusNotModified
	}
	return 0
}

// names reports whether a list of tags has one.
func names(list, tag string) bool {
	for _, t := range strings.Split(list, ",") {
		if t = strings.TrimPrefix(strings.TrimSpace(t), "W/"); t == "*" || t == tag {
			return true
		}
	}
	return false
}

// changedSince reports whether something was modified after a time; unknown
// when that cannot be told.
func changedSince(modified, since string, unknown bool) bool {
	at, errAt := http.ParseTime(modified)
	then, errThen := http.ParseTime(since)
	if errAt != nil || errThen != nil {
		return unknown
	}
	return at.After(then)
}

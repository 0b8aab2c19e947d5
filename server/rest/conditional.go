package rest

import (
	"net/http"
	"strings"
)

// conditional answers 304 when the client has what it would get
// (RFC 9110, section 13.1.2).
type conditional struct {
	http.ResponseWriter
	want    string
	decided bool
	same    bool
}

// WriteHeader implements http.ResponseWriter.
func (c *conditional) WriteHeader(status int) {
	c.decide(status)
	if c.same {
		status = http.StatusNotModified
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
	if c.same {
		return len(p), nil
	}
	return c.ResponseWriter.Write(p)
}

// Unwrap serves http.ResponseController.
func (c *conditional) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *conditional) decide(status int) {
	if c.decided {
		return
	}
	c.decided = true
	have := c.Header().Get("Etag")
	if status != http.StatusOK || have == "" {
		return
	}
	for _, tag := range strings.Split(c.want, ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if tag == "*" || tag == have {
			c.same = true
		}
	}
}

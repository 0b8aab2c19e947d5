package rest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxIndent bounds what a client may make of an answer.
const maxIndent = 8

// formatSuffix takes the format that a path ends in, such as /.json, off it.
func formatSuffix(u *url.URL) string {
	dir, last, _ := cutLast(u.Path, '/')
	if last != ".json" && last != ".api" {
		return ""
	}
	u.Path = dir
	u.RawPath, _, _ = cutLast(u.RawPath, '/')
	return last[1:]
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	if at := strings.LastIndexByte(s, sep); at >= 0 {
		return s[:at], s[at+1:], true
	}
	return s, "", false
}

// acceptable reports whether the client takes JSON, or the events of a stream,
// and by how many spaces the JSON is to be indented. What the URL says goes
// before the header.
func acceptable(r *http.Request, suffix string, stream bool) (indent int, ok bool) {
	format := suffix
	if format == "" {
		format = r.URL.Query().Get("format")
	}
	header := strings.Join(r.Header.Values("Accept"), ",")
	ok = strings.Trim(header, " ,") == ""
	for _, accept := range strings.Split(header, ",") {
		mediaRange, parameters, _ := strings.Cut(accept, ";")
		mediaRange = strings.ToLower(strings.TrimSpace(mediaRange))
		spaces, wanted := readParameters(parameters)
		if !wanted {
			continue
		}
		switch mediaRange {
		case "*/*", "application/*", "text/html", "text/*":
			ok = true
		case "application/json":
			if indent == 0 {
				indent = spaces
			}
			ok = true
		case "text/event-stream":
			ok = ok || stream
		}
	}
	switch format {
	case "":
		return indent, ok
	case "json", "api":
		return indent, true
	default:
		return indent, false
	}
}

// readParameters reads those of a media range: whether it is wanted at all, and
// how it is to be indented.
func readParameters(text string) (indent int, wanted bool) {
	wanted = true
	for _, p := range strings.Split(text, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "q":
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			wanted = err == nil && q > 0
		case "indent":
			n, _ := strconv.Atoi(strings.TrimSpace(value))
			indent = min(max(n, 0), maxIndent)
		}
	}
	return indent, wanted
}

// reply gives an answer the status and the form that its dialect has for it.
type reply struct {
	http.ResponseWriter
	creates bool // a success with a Location is 201
	empties bool // a success is 204, without a body
	indent  int  // 0: JSON stays compact
	status  int
	held    bytes.Buffer // JSON that is to be changed
	// mayBeNothing is whether a success that has nothing but links is 204.
	mayBeNothing bool
	// shape changes a success; nil leaves it.
	shape func([]byte) ([]byte, error)
}

// WriteHeader implements http.ResponseWriter.
func (p *reply) WriteHeader(status int) {
	if p.status != 0 {
		return
	}
	switch {
	case status == http.StatusOK && p.empties:
		status = http.StatusNoContent
		p.Header().Del("Content-Type")
	case status == http.StatusOK && p.creates && p.Header().Get("Location") != "":
		status = http.StatusCreated
	}
	p.status = status
	if !p.holds() {
		p.ResponseWriter.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (p *reply) Write(text []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	switch {
	case p.status == http.StatusNoContent:
		return len(text), nil
	case p.holds():
		return p.held.Write(text)
	default:
		return p.ResponseWriter.Write(text)
	}
}

func (p *reply) holds() bool {
	return (p.indent > 0 || p.shape != nil || p.mayBeNothing) && p.Header().Get("Content-Type") == "application/json"
}

// finish sends what was held.
func (p *reply) finish() {
	if p.status == 0 || !p.holds() {
		return
	}
	text := p.held.Bytes()
	if p.status/100 == 2 {
		if p.mayBeNothing && saysNothing(text) {
			p.Header().Del("Content-Type")
			p.ResponseWriter.WriteHeader(http.StatusNoContent)
			return
		}
		if p.shape != nil {
			if shaped, err := p.shape(text); err == nil { // of JSON that is our own
				text = shaped
			}
		}
	}
	if p.indent > 0 {
		var out bytes.Buffer
		if json.Indent(&out, text, "", strings.Repeat(" ", p.indent)) == nil {
			text = out.Bytes()
		}
	}
	p.ResponseWriter.WriteHeader(p.status)
	p.ResponseWriter.Write(text) //nolint:errcheck // the client has gone
}

// saysNothing reports whether a document has links alone.
func saysNothing(text []byte) bool {
	top, ok := ordered(text)
	return ok && !slices.ContainsFunc(top, func(m member) bool { return m.key != "links" })
}

// Unwrap serves http.ResponseController.
func (p *reply) Unwrap() http.ResponseWriter { return p.ResponseWriter }

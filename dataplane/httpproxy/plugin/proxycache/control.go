package proxycache

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy"
)

// directives are those of Cache-Control that matter here (RFC 9111, 5.2).
// Times are below 0 if they are not there.
type directives struct {
	noStore, noCache, private, onlyIfCached  bool
	maxAge, sharedMaxAge, maxStale, minFresh time.Duration
}

// forever is a time without an end.
const forever = time.Duration(math.MaxInt64)

// parseControl reads the Cache-Control fields of a message.
func parseControl(h *httpproxy.Header) directives {
	d := directives{maxAge: -1, sharedMaxAge: -1, maxStale: -1, minFresh: -1}
	for value := range h.Values("Cache-Control") {
		d.parse(value)
	}
	return d
}

func (d *directives) parse(s string) {
	for s != "" {
		var name, argument string
		name, argument, s = nextDirective(s)
		switch strings.ToLower(name) {
		case "no-store":
			d.noStore = true
		case "no-cache":
			d.noCache = true
		case "private":
			d.private = true
		case "only-if-cached":
			d.onlyIfCached = true
		case "max-age":
			d.maxAge = least(d.maxAge, seconds(argument))
		case "s-maxage":
			d.sharedMaxAge = least(d.sharedMaxAge, seconds(argument))
		case "min-fresh":
			d.minFresh = max(d.minFresh, seconds(argument))
		case "max-stale":
			if argument == "" {
				d.maxStale = forever
			} else {
				d.maxStale = least(d.maxStale, seconds(argument))
			}
		}
	}
}

// least is the stricter one of two times for the same.
func least(had, is time.Duration) time.Duration {
	if had < 0 {
		return is
	}
	return min(had, is)
}

// nextDirective takes a directive from a list. An argument may be quoted.
func nextDirective(s string) (name, argument, rest string) {
	s = strings.TrimLeft(s, " \t,")
	end := strings.IndexAny(s, "=,")
	if end < 0 {
		return strings.TrimRight(s, " \t"), "", ""
	}
	name = strings.TrimRight(s[:end], " \t")
	if s[end] == ',' {
		return name, "", s[end+1:]
	}
	s = strings.TrimLeft(s[end+1:], " \t")
	if s != "" && s[0] == '"' {
		argument, rest = quoted(s[1:])
		if comma := strings.IndexByte(rest, ','); comma >= 0 {
			return name, argument, rest[comma+1:]
		}
		return name, argument, ""
	}
	argument, rest, _ = strings.Cut(s, ",")
	return name, strings.TrimRight(argument, " \t"), rest
}

// quoted reads what follows a quote, up to and including the other one.
func quoted(s string) (text, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}

// seconds reads a time. One that is none is over (RFC 9111, 4.2.1), and one that
// is too long is as long as can be.
func seconds(s string) time.Duration {
	const most = 1 << 31
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0
		}
	}
	if s == "" {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > most {
		n = most
	}
	return time.Duration(n) * time.Second
}

// lifetime is how long a response is fresh by its own account.
func (d *directives) lifetime(h *httpproxy.Header, now time.Time) time.Duration {
	switch {
	case d.sharedMaxAge >= 0:
		return d.sharedMaxAge
	case d.maxAge >= 0:
		return d.maxAge
	}
	expires, last := "", false
	for v := range h.Values("Expires") {
		expires, last = v, true
	}
	if !last {
		return 0
	}
	t, err := http.ParseTime(expires)
	if err != nil {
		return 0
	}
	return max(t.Sub(now), 0)
}

package route

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// fields is a Header of names and values in turn.
type fields []string

func (f fields) Next(name string, from int) (string, int) {
	for ; from+1 < len(f); from += 2 {
		if strings.EqualFold(f[from], name) {
			return f[from+1], from + 2
		}
	}
	return "", -1
}

// A candidate is a route with those of its paths that have one length, or with
// its regular expressions, or without paths.
type candidate struct {
	route  *entity.Route
	regexp bool
	paths  []string
}

func (c candidate) length() int {
	if c.regexp || len(c.paths) == 0 {
		return 0
	}
	return len(c.paths[0])
}

// scan does what the index does by trying all routes, and says which one is
// found and what of the path has matched.
func scan(routes []*entity.Route, in *Input) (*entity.Route, []string) {
	var found []candidate
	captured := map[*entity.Route][]string{}
	for _, r := range routes {
		if !served(r) || attributes(r) == 0 || !scanMethods(r, in) || !scanHosts(r, in) || !scanHeaders(r, in) || !scanSNIs(r, in) {
			continue
		}
		for _, c := range candidates(r) {
			if len(c.paths) == 0 {
				found = append(found, c)
				continue
			}
			for _, p := range c.paths {
				if !c.regexp {
					if strings.HasPrefix(in.Path, p) {
						found = append(found, c)
						break
					}
					continue
				}
				if m := regexp.MustCompile("^(?:" + p[1:] + ")").FindStringSubmatch(in.Path); m != nil {
					found, captured[r] = append(found, c), m
					break
				}
			}
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	best := slices.MinFunc(found, compareCandidates)
	switch {
	case best.regexp:
		return best.route, captured[best.route]
	default:
		return best.route, []string{in.Path[:best.length()]}
	}
}

func candidates(r *entity.Route) []candidate {
	if len(r.Paths) == 0 {
		return []candidate{{route: r}}
	}
	byLength := map[int][]string{}
	for _, p := range r.Paths {
		n := len(p)
		if strings.HasPrefix(p, "~") {
			n = -1
		}
		byLength[n] = append(byLength[n], p)
	}
	var all []candidate
	for n, paths := range byLength {
		all = append(all, candidate{route: r, regexp: n < 0, paths: paths})
	}
	return all
}

func served(r *entity.Route) bool {
	return slices.ContainsFunc(r.Protocols, func(p string) bool {
		return p == "http" || p == "https" || p == "grpc" || p == "grpcs"
	})
}

func attributes(r *entity.Route) (n int) {
	for _, l := range []int{len(r.Methods), len(r.Hosts), len(r.Headers), len(r.Paths), len(r.SNIs)} {
		if l > 0 {
			n++
		}
	}
	return n
}

// compareCandidates is the order of the candidates that fit: the least first.
func compareCandidates(a, b candidate) int {
	more := func(a, b int) int { return cmp.Compare(b, a) }
	yes := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	plain := func(r *entity.Route) int {
		return yes(len(r.Hosts) > 0 && !slices.ContainsFunc(r.Hosts, func(h string) bool { return strings.Contains(h, "*") }))
	}
	c := cmp.Or(
		more(attributes(a.route), attributes(b.route)),
		more(plain(a.route), plain(b.route)),
		more(len(a.route.Headers), len(b.route.Headers)),
		more(yes(a.regexp), yes(b.regexp)),
	)
	if c != 0 {
		return c
	}
	if a.regexp {
		c = more(a.route.RegexPriority, b.route.RegexPriority)
	}
	return cmp.Or(c,
		more(a.length(), b.length()),
		cmp.Compare(a.route.CreatedAt, b.route.CreatedAt),
		strings.Compare(a.route.ID.String(), b.route.ID.String()),
	)
}

func scanMethods(r *entity.Route, in *Input) bool {
	return len(r.Methods) == 0 || slices.Contains(r.Methods, in.Method)
}

// wild compares what may have "*" at one end.
func wild(pattern, s string) bool {
	pattern, s = lower(pattern), lower(s)
	if strings.HasPrefix(pattern, "*") {
		return strings.HasSuffix(s, pattern[1:])
	}
	if strings.HasSuffix(pattern, "*") {
		return strings.HasPrefix(s, pattern[:len(pattern)-1])
	}
	return pattern == s
}

// cutPort takes an authority apart: the port is "" if there is none, and "?" if it
// is not a port. What has several colons is an IPv6 address without brackets.
func cutPort(h string) (name, port string) {
	name, rest, closed := strings.Cut(h, "]")
	after, colon := strings.CutPrefix(rest, ":")
	switch {
	case closed && h[0] == '[' && (colon || rest == ""):
		name, port = name[1:], after
	case closed && h[0] == '[':
		return name[1:], "?"
	case strings.Count(h, ":") == 1:
		name, port, _ = strings.Cut(h, ":")
	default:
		return h, ""
	}
	if n, err := strconv.ParseUint(port, 10, 16); err == nil && n > 0 {
		return name, strconv.FormatUint(n, 10)
	}
	if port != "" {
		port = "?"
	}
	return name, port
}

func scanHosts(r *entity.Route, in *Input) bool {
	if len(r.Hosts) == 0 {
		return true
	}
	name, port := cutPort(in.Host)
	if port == "" {
		port = strconv.Itoa(in.Port)
	}
	for _, h := range r.Hosts {
		h, want := cutPort(h)
		if wild(h, name) && (want == "" || want == port) {
			return true
		}
	}
	return false
}

func scanHeaders(r *entity.Route, in *Input) bool {
	for name, wanted := range r.Headers {
		found := false
		sent, _ := in.Header.(fields)
		for i := 0; i+1 < len(sent); i += 2 {
			if !strings.EqualFold(sent[i], name) {
				continue
			}
			for _, w := range wanted {
				if re, ok := strings.CutPrefix(w, "~*"); ok {
					found = found || regexp.MustCompile("(?i:"+re+")").MatchString(sent[i+1])
				} else {
					found = found || lower(w) == lower(sent[i+1])
				}
			}
		}
		if !found {
			return false
		}
	}
	return true
}

func scanSNIs(r *entity.Route, in *Input) bool {
	return len(r.SNIs) == 0 || !in.TLS || slices.ContainsFunc(r.SNIs, func(s string) bool { return wild(s, in.SNI) })
}

package cors

import (
	"net/url"
	"regexp"
	"strings"
)

// origins are the sites that may use what is behind the gateway.
type origins struct {
	any bool
	// only is the one that is told whoever asks, "" if there are more.
	only string
	all  []origin
}

// origin is a site, or a regular expression of sites.
type origin struct {
	text   string
	regexp *regexp.Regexp // nil for a site
	// byHost tells that the expression is one of hosts, without the scheme.
	byHost bool
}

func newOrigins(texts []string) (origins, error) {
	o := origins{any: len(texts) == 0}
	for _, text := range texts {
		if text == "*" {
			return origins{any: true}, nil
		}
		one, err := newOrigin(text)
		if err != nil {
			return o, err
		}
		o.all = append(o.all, one)
	}
	if len(o.all) == 1 && o.all[0].regexp == nil {
		o.only = texts[0]
	}
	return o, nil
}

// newOrigin reads one: what has other characters than a URL is a regular
// expression of the whole of an origin.
func newOrigin(text string) (origin, error) {
	if text == "*" {
		return origin{text: text}, nil
	}
	if strings.IndexFunc(text, notOfSite) < 0 {
		site, _ := normalize(text)
		return origin{text: site}, nil
	}
	r, err := regexp.Compile(`^(?:` + text + `)$`)
	return origin{text: text, regexp: r, byHost: !strings.Contains(text, ":")}, err
}

func notOfSite(r rune) bool {
	return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune(".:/-", r)
}

// allowed is what Access-Control-Allow-Origin is for a request from a site, ""
// for nothing, and whether that depends on the site.
func (o *origins) allowed(from string) (allowed string, varies bool) {
	switch {
	case o.any:
		return "*", false
	case o.only != "":
		return o.only, true
	case from == "":
		return "", true
	}
	site, host := normalize(from)
	for i := range o.all {
		if o.all[i].is(site, host) {
			return from, true
		}
	}
	return "", true
}

func (o *origin) is(site, host string) bool {
	switch {
	case o.regexp == nil:
		return o.text == site
	case o.byHost:
		return o.regexp.MatchString(host)
	}
	return o.regexp.MatchString(site)
}

// normalize is a site with its host in lower case and without the port that its
// scheme has anyway, and the host alone.
func normalize(site string) (normal, host string) {
	u, err := url.Parse(site)
	if err != nil || u.Host == "" {
		return site, site
	}
	host = strings.ToLower(u.Hostname())
	port := u.Port()
	if u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		port = ""
	}
	normal = u.Scheme + "://" + strings.ToLower(u.Host)
	if port == "" {
		normal = strings.TrimSuffix(normal, ":"+u.Port())
	}
	return normal, host
}

package proxycache

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy"
)

// digest writes the parts of a key so that no two lists of parts are the same.
type digest struct{ hash.Hash }

func (d digest) add(parts ...string) {
	var n [4]byte
	for _, p := range parts {
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		_, _ = d.Write(n[:])
		_, _ = io.WriteString(d, p)
	}
}

// argument is one of a query, as it was sent.
type argument struct{ name, value string }

// key is what the response to a request is kept under.
func (p *plugin) key(x *httpproxy.Exchange) string {
	d := digest{sha256.New()}
	if x.Consumer != nil {
		d.add(x.Consumer.ID.String())
	} else {
		d.add("")
	}
	if x.Route != nil {
		d.add(x.Route.ID.String())
	} else {
		d.add("")
	}
	path := x.Request.Path
	if p.config.IgnoreURICase {
		path = strings.ToLower(path)
	}
	d.add(x.Request.Method, x.Request.Scheme, strings.ToLower(x.Request.Host), path)
	for _, a := range p.arguments(x.Request.Query) {
		d.add(a.name, a.value)
	}
	for _, name := range p.config.VaryHeaders {
		d.add("h", name)
		for v := range x.Request.Header.Values(name) {
			d.add(v)
		}
	}
	return hex.EncodeToString(d.Sum(nil))
}

// arguments are those that count, sorted.
func (p *plugin) arguments(query string) []argument {
	var all []argument
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		if p.varyParams != nil {
			// However it is escaped, the upstream takes it for the same.
			if plain, err := url.QueryUnescape(name); err == nil {
				name = plain
			}
			if !p.varyParams[name] {
				continue
			}
		}
		all = append(all, argument{name, value})
	}
	// Those of the same name keep their order, which may mean something.
	slices.SortStableFunc(all, func(a, b argument) int { return cmp.Compare(a.name, b.name) })
	return all
}

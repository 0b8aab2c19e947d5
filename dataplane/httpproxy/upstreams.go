package httpproxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strconv"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

type servedUpstream struct{ *entity.Upstream }

var errNoName = errors.New("the name of the host is not known")

func pickFailure(err error) failure {
	if errors.Is(err, errNoName) {
		return failure{status: http.StatusServiceUnavailable, message: msgNoName}
	}
	return failure{status: http.StatusServiceUnavailable, message: msgNoPeer}
}

func (x *Exchange) targets() targets { return plainHost{x.proxy} }

type plainHost struct{ p *Proxy }

func (h plainHost) pick(x *Exchange) (peer, error) {
	host, port := x.Upstream.Host, x.Upstream.Port
	ip, err := netip.ParseAddr(host)
	if err != nil {
		found, err := net.DefaultResolver.LookupNetIP(context.Background(), "ip", host)
		if err != nil || len(found) == 0 {
			return peer{}, errNoName
		}
		ip = found[0]
	}
	a := netip.AddrPortFrom(ip.Unmap(), uint16(port))
	return peer{addr: a, address: a.String(), name: host, authority: withPort(host, port, x.Upstream.Scheme)}, nil
}

func withPort(host string, port int, scheme string) string {
	if scheme == "http" && port == 80 || scheme == "https" && port == 443 {
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

func (h plainHost) report(peer, outcome) {}

func (h plainHost) tls(x *Exchange) *upstreamTLS { return x.service.tls }

func (b *build) putUpstream(id uuid.UUID, v *entity.Upstream) {}
func (b *build) putTarget(id uuid.UUID, v *entity.Target)     {}
func (b *build) makeUpstreams()                               {}
func (p *Proxy) closeUpstreams()                              {}

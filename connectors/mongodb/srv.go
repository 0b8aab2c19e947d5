package mongodb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/backplane/backplane/connectors"
)

// resolver is the part of net.Resolver that a seed list in DNS needs.
type resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// resolve turns an SRV connection string into a plain one
// (https://github.com/mongodb/specifications/blob/master/source/initial-dns-seedlist-discovery/initial-dns-seedlist-discovery.md).
// The driver could do it, but would ignore the deadline.
func (u *uri) resolve(ctx context.Context, dns resolver) error {
	domain := strings.TrimSuffix(u.hosts[0], ".")
	service := u.get("srvServiceName")
	if service == "" {
		service = "mongodb"
	}
	_, records, err := dns.LookupSRV(ctx, service, "tcp", domain)
	if err != nil {
		return noRecord(err, "_"+service+"._tcp."+domain)
	}
	hosts, err := srvHosts(records, domain)
	if err != nil {
		return err
	}
	if n, _ := strconv.Atoi(u.get("srvMaxHosts")); n > 0 && n < len(hosts) {
		hosts = hosts[:n]
	}
	if err := u.text(ctx, dns, domain); err != nil {
		return err
	}
	u.hosts = hosts
	return nil
}

func noRecord(err error, name string) error {
	var dns *net.DNSError
	if errors.As(err, &dns) && !dns.IsTimeout {
		return connectors.Fail(connectors.DNSFailure, err, "no SRV record %s", name)
	}
	return err
}

// srvHosts accepts servers in the domain that the name belongs to: a forged
// record must not send the login elsewhere.
func srvHosts(records []*net.SRV, domain string) ([]string, error) {
	parent := "." + strings.ToLower(domain)
	if strings.Count(parent, ".") > 2 {
		_, tail, _ := strings.Cut(parent[1:], ".")
		parent = "." + tail
	}
	var hosts []string
	for _, r := range records {
		name := strings.TrimSuffix(r.Target, ".")
		if !strings.HasSuffix(strings.ToLower(name), parent) {
			return nil, connectors.Fail(connectors.DNSFailure, nil, "the SRV record names %s, which is not in the domain %s", name, parent[1:])
		}
		hosts = append(hosts, net.JoinHostPort(name, strconv.Itoa(int(r.Port))))
	}
	if len(hosts) == 0 {
		return nil, connectors.Fail(connectors.DNSFailure, nil, "the SRV record of %s names no server", domain)
	}
	return hosts, nil
}

// text adds the options of the TXT record, which the connection string itself
// overrides.
func (u *uri) text(ctx context.Context, dns resolver, domain string) error {
	records, err := dns.LookupTXT(ctx, domain)
	var dnsErr *net.DNSError
	if errors.As(err, &dnsErr) && !dnsErr.IsTimeout {
		return nil // there need not be one
	}
	if err != nil {
		return err
	}
	if len(records) == 0 {
		return nil
	}
	bad := func(why string) error {
		return connectors.Fail(connectors.InvalidConfig, nil, "the TXT record of %s %s", domain, why)
	}
	if len(records) > 1 {
		return bad("is not the only one")
	}
	extra := uri{srv: true}
	if err := extra.parseOptions(records[0]); err != nil {
		return bad(fmt.Sprint(err))
	}
	for _, o := range extra.options {
		switch strings.ToLower(o.key) {
		case "authsource", "replicaset", "loadbalanced":
		default:
			return bad("may only set authSource, replicaSet and loadBalanced")
		}
		if u.get(o.key) == "" {
			u.set(o.key, o.value)
		}
	}
	return nil
}

package config

import (
	"errors"
	"fmt"
	"net"

	"github.com/spf13/pflag"
)

func (c *Config) registerGateway(f *pflag.FlagSet) {
	off := "; empty or " + none + ": switched off"
	f.StringVar(&c.GatewayHTTP, "gateway-http", "127.0.0.1:8000", "address at which the HTTP gateway serves without TLS"+off)
	f.StringVar(&c.GatewayHTTPS, "gateway-https", "127.0.0.1:8443", "address at which the HTTP gateway serves TLS, with the certificates that it is configured with"+off)
	f.StringVar(&c.GatewayAccessLog, "gateway-access-log", "", "file to which the HTTP gateway adds a line of JSON for each request; -: the standard output; empty: none")
	f.StringSliceVar(&c.trustedIPs, "gateway-trusted-ips", nil, "networks and addresses of peers that the HTTP gateway believes when their X-Forwarded headers say who a request is from")
}

// settleGateway checks the addresses of the gateway and parses the peers that
// it trusts. It may serve without TLS wherever it is told to: what passes is for
// its routes to say.
func (c *Config) settleGateway() error {
	var faults []error
	for flag, addr := range map[string]*string{"--gateway-http": &c.GatewayHTTP, "--gateway-https": &c.GatewayHTTPS} {
		if *addr == none {
			*addr = ""
		}
		if *addr == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(*addr); err != nil {
			faults = append(faults, fmt.Errorf("%s %q must be host:port", flag, *addr))
		}
	}
	for _, text := range c.trustedIPs {
		p, ok := network(text)
		if !ok {
			faults = append(faults, fmt.Errorf("--gateway-trusted-ips: %q must be a network such as 10.0.0.0/8, or an address", text))
			continue
		}
		c.TrustedIPs = append(c.TrustedIPs, p)
	}
	return errors.Join(faults...)
}

package config

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/spf13/pflag"

	"github.com/backplane/backplane/internal/tlsconf"
)

// none switches a setting off that would otherwise have a value.
const none = "none"

// Listener is one of the addresses that are listened on.
type Listener struct {
	Name string // rest or grpc
	Addr string
	TLS  tlsconf.Files
}

func (c *Config) registerTLS(f *pflag.FlagSet) {
	registerFiles(f, &c.TLS, "tls", "all listeners", "; empty: plaintext", "; empty: none are asked for")
	more := "; empty: as for all; " + none + ": switched off"
	registerFiles(f, &c.RESTTLS, "rest-tls", "the REST listener", more, more)
	registerFiles(f, &c.GRPCTLS, "grpc-tls", "the gRPC listener", more, more)
	f.BoolVar(&c.AllowPlaintext, "allow-plaintext", false, "serve without TLS on addresses that other machines can reach")
	f.BoolVar(&c.ProxyForbids, "dbproxy-403", false, "refuse changes through the database proxy's REST API with 403, as clients of its first version expect, instead of 400")
	f.BoolVar(&c.TrustForwarded, "trust-forwarded", false, "take the scheme and host of links from X-Forwarded-Proto and X-Forwarded-Host; only behind a proxy that sets both")
}

func registerFiles(f *pflag.FlagSet, t *tlsconf.Files, prefix, whose, certHelp, caHelp string) {
	f.StringVar(&t.Cert, prefix+"-cert", "", "file with the certificate chain of "+whose+certHelp)
	f.StringVar(&t.Key, prefix+"-key", "", "file with the private key of that certificate")
	f.StringVar(&t.ClientCA, prefix+"-client-ca", "", "file with the authorities of client certificates at "+whose+caHelp)
	f.StringVar((*string)(&t.Auth), prefix+"-client-auth", "", "whether clients must show a certificate: required, or optional; empty is required")
}

// REST is the listener of the REST APIs.
func (c *Config) REST() Listener {
	return Listener{"rest", c.RESTAddr, over(c.TLS, c.RESTTLS)}
}

// GRPC is the listener of the gRPC API.
func (c *Config) GRPC() Listener {
	return Listener{"grpc", c.GRPCAddr, over(c.TLS, c.GRPCTLS)}
}

// over fills what a listener's own settings leave open from those of all
// listeners. A certificate and its key are one setting: no key is tried on
// another's certificate.
func over(all, own tlsconf.Files) tlsconf.Files {
	f := own
	if f.Cert == "" && f.Key == "" {
		f.Cert, f.Key = all.Cert, all.Key
	}
	off := f.Cert == none
	if off {
		f.Cert = ""
	}
	switch {
	case f.ClientCA == none:
		f.ClientCA = ""
	case f.ClientCA == "" && !off:
		f.ClientCA = all.ClientCA
	}
	if f.Auth == "" {
		f.Auth = all.Auth
	}
	return f
}

func (c *Config) checkListeners() error {
	faults := []error{checkFiles("--tls-*", c.TLS)}
	for _, l := range []struct {
		Listener
		own tlsconf.Files
	}{{c.REST(), c.RESTTLS}, {c.GRPC(), c.GRPCTLS}} {
		addr := "--" + l.Name + "-addr"
		if _, _, err := net.SplitHostPort(l.Addr); err != nil {
			faults = append(faults, fmt.Errorf("%s %q must be host:port", addr, l.Addr))
		} else if !l.TLS.Enabled() && !c.AllowPlaintext && !tlsconf.Loopback(l.Addr) {
			faults = append(faults, fmt.Errorf("%s %q can be reached by other machines and has no TLS: set --tls-cert and --tls-key, or --allow-plaintext", addr, l.Addr))
		}
		if l.own != (tlsconf.Files{}) { // faults of --tls-* are told once
			faults = append(faults, checkFiles("--"+l.Name+"-tls-*", l.TLS))
		}
	}
	return errors.Join(faults...)
}

// checkFiles reads the files and names the flags in each fault.
func checkFiles(flags string, f tlsconf.Files) error {
	err := f.Check()
	if err == nil {
		return nil
	}
	var faults []error
	for line := range strings.SplitSeq(err.Error(), "\n") {
		faults = append(faults, fmt.Errorf("%s: %s", flags, line))
	}
	return errors.Join(faults...)
}

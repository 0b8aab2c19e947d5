package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/internal/tlsconf"
	"github.com/backplane/backplane/testbed"
)

func TestListenersWithoutTLS(t *testing.T) {
	c, err := load(t, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, got := range map[config.Listener]config.Listener{
		{Name: "rest", Addr: "127.0.0.1:8080"}: c.REST(),
		{Name: "grpc", Addr: "127.0.0.1:9090"}: c.GRPC(),
	} {
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestListenersOverride(t *testing.T) {
	dir, ca := t.TempDir(), testbed.NewCA(t)
	cert, key := ca.Issue(t, "a").Files(t, dir, "all", "")
	ownCert, ownKey := ca.Issue(t, "b").Files(t, dir, "own", "")
	authority := filepath.Join(dir, "ca.pem")
	testbed.Write(t, authority, ca.PEM)
	all := tlsconf.Files{Cert: cert, Key: key, ClientCA: authority}
	base := []string{"--tls-cert", cert, "--tls-key", key, "--tls-client-ca", authority}
	for name, tt := range map[string]struct {
		env  map[string]string
		args []string
		want [2]tlsconf.Files // rest, grpc
	}{
		"for all": {nil, base, [2]tlsconf.Files{all, all}},
		"a pair of its own": {
			nil, append([]string{"--grpc-tls-cert", ownCert, "--grpc-tls-key", ownKey}, base...),
			[2]tlsconf.Files{all, {Cert: ownCert, Key: ownKey, ClientCA: authority}},
		},
		"optional at one": {
			nil, append([]string{"--rest-tls-client-auth", "optional"}, base...),
			[2]tlsconf.Files{{Cert: cert, Key: key, ClientCA: authority, Auth: tlsconf.Optional}, all},
		},
		"no client certificates at one": {
			nil, append([]string{"--grpc-tls-client-ca", "none"}, base...),
			[2]tlsconf.Files{all, {Cert: cert, Key: key}},
		},
		"plaintext at one": {
			nil, append([]string{"--grpc-tls-cert", "none"}, base...),
			[2]tlsconf.Files{all, {}},
		},
		"one alone, by environment": {
			map[string]string{"BACKPLANE_REST_TLS_CERT": ownCert, "BACKPLANE_REST_TLS_KEY": ownKey}, nil,
			[2]tlsconf.Files{{Cert: ownCert, Key: ownKey}, {}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := load(t, "", tt.env, tt.args...)
			if err != nil {
				t.Fatal(err)
			}
			for i, l := range []config.Listener{c.REST(), c.GRPC()} {
				if l.TLS != tt.want[i] {
					t.Errorf("%s: got %+v, want %+v", l.Name, l.TLS, tt.want[i])
				}
			}
		})
	}
}

// TestRefusedStarts is what stops the start, and what is then said.
func TestRefusedStarts(t *testing.T) {
	dir, ca := t.TempDir(), testbed.NewCA(t)
	cert, key := ca.Issue(t, "a").Files(t, dir, "a", "")
	_, other := ca.Issue(t, "b").Files(t, dir, "b", "")
	missing := filepath.Join(dir, "missing")
	pair := []string{"--tls-cert", cert, "--tls-key", key}
	for name, tt := range map[string]struct {
		args []string
		want []string // one for each fault
	}{
		"no port":                    {[]string{"--rest-addr", "localhost"}, []string{`--rest-addr "localhost" must be host:port`}},
		"plaintext for all to reach": {[]string{"--rest-addr", "0.0.0.0:80"}, []string{`--rest-addr "0.0.0.0:80" can be reached by other machines and has no TLS`}},
		"plaintext, no host":         {[]string{"--grpc-addr", ":90"}, []string{`--grpc-addr ":90" can be reached`}},
		"plaintext on IPv6":          {[]string{"--grpc-addr", "[::]:80"}, []string{`--grpc-addr "[::]:80" can be reached`}},
		"plaintext by a name":        {[]string{"--rest-addr", "example.com:80"}, []string{`--rest-addr "example.com:80" can be reached`}},
		"plaintext where TLS is off": {append([]string{"--grpc-addr", ":80", "--grpc-tls-cert", "none"}, pair...), []string{`--grpc-addr ":80" can be reached`}},
		"certificate without key":    {[]string{"--tls-cert", cert}, []string{"--tls-*: certificate " + cert + " is set without its key"}},
		"key without certificate":    {[]string{"--rest-tls-key", key}, []string{"--rest-tls-*: key " + key + " is set without its certificate"}},
		"half a pair over a pair":    {append([]string{"--grpc-tls-cert", cert}, pair...), []string{"--grpc-tls-*: certificate " + cert + " is set without its key"}},
		"a pair that does not match": {[]string{"--tls-cert", cert, "--tls-key", other}, []string{"--tls-*: certificate " + cert + " and key " + other + " do not belong together"}},
		"a missing file":             {[]string{"--grpc-tls-cert", missing, "--grpc-tls-key", key}, []string{"--grpc-tls-*: certificate " + missing + ": no such file"}},
		"an authority alone":         {[]string{"--grpc-tls-client-ca", cert}, []string{"--grpc-tls-*: a client authority needs a certificate and a key as well"}},
		"an authority, TLS off":      {append([]string{"--grpc-tls-cert", "none", "--grpc-tls-client-ca", cert}, pair...), []string{"--grpc-tls-*: a client authority needs"}},
		"an unknown mode":            {append([]string{"--tls-client-auth", "perhaps"}, pair...), []string{`--tls-*: client certificates can be required or optional, not "perhaps"`}},
		"an unknown mode and no TLS": {[]string{"--tls-client-auth", "perhaps"}, []string{`--tls-*: client certificates can be`}},
		"a gateway without port":     {[]string{"--gateway-http", "localhost"}, []string{`--gateway-http "localhost" must be host:port`}},
		"a peer that is no address":  {[]string{"--gateway-trusted-ips", "10.0.0.0/8,proxy"}, []string{`--gateway-trusted-ips: "proxy" must be`}},
		"a hasty refresh":            {[]string{"--registry-refresh", "10ms"}, []string{"--registry-refresh 10ms must be 0 or at least 1s"}},
		"a refresh in the past":      {[]string{"--registry-refresh", "-1m"}, []string{"--registry-refresh -1m0s must be"}},
		"no time for a document":     {[]string{"--registry-timeout", "0"}, []string{"--registry-timeout 0s must be more than 0"}},
		"long for a document":        {[]string{"--registry-timeout", "1h"}, []string{"--registry-timeout 1h0m0s must be"}},
		"an unknown protection":      {[]string{"--registry-auth", "hope"}, []string{`--registry-auth "hope" must be one of jwt, key-auth, basic-auth`}},
		"services at no host":        {[]string{"--registry-allow", "*.internal,10.0.0.0/33,1.2.3,http://users"}, []string{`--registry-allow: "10.0.0.0/33" must be`, `--registry-allow: "1.2.3" must be`, `--registry-allow: "http://users" must be`}},
		"no network":                 {[]string{"--deny-targets", "10.0.0.0/33"}, []string{`--deny-targets: "10.0.0.0/33" must be a network such as 10.0.0.0/8, or an address`}},
		"a network with a zone":      {[]string{"--deny-targets", "fe80::1%eth0"}, []string{`--deny-targets: "fe80::1%eth0" must be`}},
		"more than all IPv4":         {[]string{"--deny-targets", "::ffff:0.0.0.0/90"}, []string{`--deny-targets: "::ffff:0.0.0.0/90" must be`}},
		"none and something":         {[]string{"--deny-targets", "none,10.0.0.0/8"}, []string{"--deny-targets: none must stand alone"}},
		"an empty list":              {[]string{"--deny-targets", ""}, []string{"--deny-targets must not be empty; write none to deny nothing"}},
		"a negative rate":            {[]string{"--max-calls-per-second", "-1"}, []string{"--max-calls-per-second -1 must be a number from 0"}},
		"no number":                  {[]string{"--max-calls-per-second", "NaN"}, []string{"--max-calls-per-second NaN must be"}},
		"an endless rate":            {[]string{"--max-calls-per-second", "Inf"}, []string{"--max-calls-per-second +Inf must be"}},
		"negative calls":             {[]string{"--max-calls-at-once", "-1"}, []string{"--max-calls-at-once -1 must not be negative"}},
		"small headers":              {[]string{"--max-header-bytes", "100"}, []string{"--max-header-bytes 100 must be from 4096 to 16777216"}},
		"large headers":              {[]string{"--max-header-bytes", "99999999"}, []string{"--max-header-bytes 99999999 must be"}},
		"all at once": {
			[]string{"--rest-addr", "x", "--grpc-addr", ":1", "--tls-client-ca", missing, "--rest-tls-cert", cert, "--deny-targets", "a,b", "--max-calls-at-once", "-1", "--log-level", "loud"},
			[]string{
				`--rest-addr "x"`, "--tls-*: a client authority needs", "--tls-*: client authority " + missing,
				"--rest-tls-*: certificate " + cert + " is set", "--rest-tls-*: client authority " + missing,
				`"a" must be a network`, `"b" must be a network`, "--max-calls-at-once -1", `--log-level "loud"`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, "", nil, tt.args...)
			if err == nil {
				t.Fatal("no fault found")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("faults do not say %q:\n%v", want, err)
				}
			}
			if got := len(strings.Split(err.Error(), "\n")); got != len(tt.want) {
				t.Errorf("%d faults, want %d:\n%v", got, len(tt.want), err)
			}
		})
	}
}

func TestPlaintextThatIsAllowed(t *testing.T) {
	for name, args := range map[string][]string{
		"by the flag": {"--rest-addr", ":80", "--grpc-addr", "0.0.0.0:90", "--allow-plaintext"},
		"on loopback": {"--rest-addr", "localhost:80", "--grpc-addr", "[::1]:90", "--gateway-http", "0.0.0.0:80"},
	} {
		if _, err := load(t, "", nil, args...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSettingsFromFile(t *testing.T) {
	dir := t.TempDir()
	cert, key := testbed.NewCA(t).Issue(t, "a").Files(t, dir, "a", "")
	path := filepath.Join(dir, "backplane.yaml")
	text := "grpc-tls-cert: " + cert + "\ngrpc-tls-key: " + key + "\ndeny-targets:\n  - 10.0.0.0/8\n  - 1.2.3.4\nmax-calls-at-once: 7\nmax-calls-per-second: 0.5\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := load(t, "", map[string]string{"BACKPLANE_MAX_CALLS_AT_ONCE": "8"}, "--config", path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.GRPC().TLS, (tlsconf.Files{Cert: cert, Key: key}); got != want {
		t.Errorf("TLS is %+v, want %+v", got, want)
	}
	if got := prefixes(c.DenyTargets); got != "10.0.0.0/8 1.2.3.4/32" {
		t.Errorf("denied are %s", got)
	}
	if c.MaxCallsAtOnce != 8 || c.MaxCallsPerSecond != 0.5 || c.MaxHeaderBytes != 65536 {
		t.Errorf("limits are %d, %v, %d", c.MaxCallsAtOnce, c.MaxCallsPerSecond, c.MaxHeaderBytes)
	}
}

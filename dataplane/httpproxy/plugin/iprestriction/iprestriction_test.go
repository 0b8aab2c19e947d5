package iprestriction

import (
	"net/netip"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

func TestClientsPassByTheirAddresses(t *testing.T) {
	for _, c := range []struct {
		name, config string
		status       int
		message      string
	}{
		{"allowed", `{"allow":["10.0.0.0/8","127.0.0.1"]}`, 200, ""},
		{"allowed by a range", `{"allow":["127.0.0.0/8"]}`, 200, ""},
		{"not allowed", `{"allow":["10.0.0.0/8","::1"]}`, 403, "IP address not allowed: 127.0.0.1"},
		{"denied", `{"deny":["127.0.0.0/30"]}`, 403, "IP address not allowed: 127.0.0.1"},
		{"not denied", `{"deny":["127.0.0.2"]}`, 200, ""},
		{"denied before it is allowed", `{"allow":["127.0.0.0/8"],"deny":["127.0.0.1"]}`, 403, "IP address not allowed: 127.0.0.1"},
		{"another status", `{"deny":["127.0.0.1"],"status":404}`, 404, "IP address not allowed: 127.0.0.1"},
		{"another message", `{"deny":["127.0.0.1"],"message":"go away"}`, 403, "go away"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := gatewaytest.Plugged(t, []httpproxy.PluginModule{Module()}, gatewaytest.Plugin("ip-restriction", c.config))
			res := g.Get("/", "X-Forwarded-For", "10.0.0.1", "X-Real-IP", "10.0.0.1")
			if res.StatusCode != c.status {
				t.Fatalf("%s %s", res.Status, res.Text)
			}
			if c.status != 200 && res.JSON(t)["message"] != c.message {
				t.Errorf("the answer is %s", res.Text)
			}
		})
	}
}

func TestWhatATrustedPeerSaysCounts(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, ""))
	g := gatewaytest.Start(t, httpproxy.Options{
		Modules: []httpproxy.PluginModule{Module()}, TrustedIPs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}, gatewaytest.All(s, gatewaytest.Route(s, "/"),
		gatewaytest.Plugin("ip-restriction", `{"allow":["10.0.0.0/8","2001:db8::/32"]}`)))
	for client, status := range map[string]int{
		"10.1.2.3": 200, "::ffff:10.1.2.3": 200, "2001:db8::1": 200, "2001:db9::1": 403, "11.0.0.1": 403,
	} {
		if res := g.Get("/", "X-Real-IP", client); res.StatusCode != status {
			t.Errorf("%s: %s", client, res.Status)
		}
	}
}

func TestRanges(t *testing.T) {
	texts := []string{
		"10.0.0.0/8", "10.1.0.0/16", "192.168.1.7", "192.168.1.8/31", "::ffff:1.2.3.0/120", "2001:db8::/33", "fe80::1", "255.255.255.255",
	}
	r, err := newRanges(texts)
	if err != nil {
		t.Fatal(err)
	}
	for ip, want := range map[string]bool{
		"9.255.255.255": false, "10.0.0.0": true, "10.200.0.1": true, "10.255.255.255": true, "11.0.0.0": false,
		"192.168.1.6": false, "192.168.1.7": true, "192.168.1.9": true, "192.168.1.10": false,
		"1.2.3.4": true, "1.2.4.4": false, "2001:db8::": true, "2001:db8:7fff::1": true, "2001:db8:8000::": false,
		"fe80::1": true, "fe80::2": false, "255.255.255.255": true, "::": false, "0.0.0.0": false,
	} {
		if got := r.has(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s: %v", ip, got)
		}
	}
	all, err := newRanges([]string{"0.0.0.0/0"})
	if err != nil || !all.has(netip.MustParseAddr("0.0.0.0")) || !all.has(netip.MustParseAddr("255.1.1.1")) ||
		all.has(netip.MustParseAddr("::1")) {
		t.Errorf("all of IPv4: %v %v", all, err)
	}
	if _, err := newRanges([]string{"x"}); err == nil {
		t.Error("that is no address")
	}
}

func FuzzRanges(f *testing.F) {
	f.Add("10.0.0.0/8", "::1", "10.0.0.1")
	f.Add("::ffff:1.2.3.4/97", "1.0.0.0/1", "127.0.0.1")
	f.Fuzz(func(t *testing.T, a, b, text string) {
		ip, err := netip.ParseAddr(text)
		r, rangesErr := newRanges([]string{a, b})
		if err != nil || rangesErr != nil || ip.Zone() != "" {
			return
		}
		ip = ip.Unmap()
		want := false
		for _, s := range []string{a, b} {
			if one, err := netip.ParseAddr(s); err == nil {
				want = want || one.Unmap() == ip
			} else if p, err := netip.ParsePrefix(s); err == nil {
				if p.Addr().Is4In6() && p.Bits() >= 96 {
					p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
				}
				want = want || p.Contains(ip)
			}
		}
		if got := r.has(ip); got != want {
			t.Fatalf("%s in %s, %s: %v", ip, a, b, got)
		}
	})
}

func TestOneListIsNeeded(t *testing.T) {
	m := Module()
	for config, want := range map[string]string{
		`{}`:                "schema violation (at least one of these fields must be non-empty: 'allow', 'deny')",
		`{"allow":["x"]}`:   "schema violation (allow.1: invalid ip or cidr range: 'x')",
		`{"deny":["::/0"]}`: "",
	} {
		if got := gatewaytest.Violations(t, &m.Config, config); got != want {
			t.Errorf("%s: %s", config, got)
		}
	}
}

package registry

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

func TestDomains(t *testing.T) {
	t.Parallel()
	const host = "must have a host that is an address or a name of letters, digits and hyphens"
	const port = "must have no port: it has a field of its own"
	for text, want := range map[string]string{
		"http://127.0.0.1":        "http://127.0.0.1",
		"http://127.0.0.1/":       "http://127.0.0.1",
		"HTTPS://Users.Example":   "https://users.example",
		"http://localhost":        "http://localhost",
		"http://users":            "http://users",
		"http://my_users":         "http://my_users",
		"http://[::1]":            "http://[::1]",
		"http://::1":              "http://[::1]",
		"http://[2001:DB8::0:1]/": "http://[2001:db8::1]",
		"":                        "! is required",
		"127.0.0.1":               "! must begin with http:// or https://",
		"ftp://127.0.0.1":         "! must begin with http:// or https://",
		"http://":                 "! must have a host",
		"http://127.0.0.1:8080":   "! " + port,
		"http://users:8080":       "! " + port,
		"http://[::1]:8080":       "! " + port,
		"http://users:":           "! " + port,
		"http://u@users":          "! must have no user and password",
		"http://u:p@users":        "! must have no user and password",
		"http://users?a=b":        "! must have no query",
		"http://users#a":          "! must have no fragment",
		"http://users/a":          "! must have no path",
		"http://users//":          "! must have no path",
		`http://users\a`:          "! must have no path",
		"http://[fe80::1%eth0]":   "! must have no zone in its address",
		"http://[127.0.0.1]":      "! must have brackets around addresses of IPv6 alone",
		"http://[users]":          "! must have an address in its brackets",
		"http://[::1":             "! must have an address in its brackets",
		"http://us ers":           "! " + host,
		"http://users..example":   "! " + host,
		"http://users.":           "! " + host,
		"http://-users":           "! " + host,
		"http://üser":             "! " + host,
		"http://127.1":            "! " + host, // an address to some resolvers
		"http://127.0.0.256":      "! " + host,
		"http://0x7f000001":       "! " + host,
		"http://2130706433":       "! " + host,
		"http://users\r\n":        "! " + host,
		"http://" + long(64):      "! " + host,
		"http://" + long(50, 5):   "! " + host,
		"http://" + long(600):     "! must not be longer than 512 characters",
	} {
		d, wrong := parseDomain(text)
		got := d.String()
		if wrong != "" {
			got = "! " + wrong
		}
		if got != want {
			t.Errorf("%.60q is %s, want %s", text, got, want)
		}
	}
}

// long is a host of labels of a length, so many times.
func long(n int, times ...int) string {
	host := strings.Repeat("a", n)
	for _, k := range times {
		host = strings.Repeat(host+".", k) + "a"
	}
	return host
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"Hello": true, "a": true, "0.a_b-c": true, "Docs": true, strings.Repeat("a", 64): true,
		"": false, ".a": false, "-a": false, "a/b": false, "a b": false, "ä": false, "a\n": false, strings.Repeat("a", 65): false,
		"service": false, "services": false, "docs": false, "redoc": false, "openapi.json": false, "health": false, "metrics": false,
	} {
		if wrong := checkName(name); (wrong == "") != ok {
			t.Errorf("%q: %q", name, wrong)
		}
	}
}

func TestDocumentPaths(t *testing.T) {
	t.Parallel()
	for path, ok := range map[string]bool{
		"/openapi.json": true, "/v1/api?format=json": true, "/": true, "/a%20b": true,
		"": false, "openapi.json": false, "http://other/openapi.json": false, "/a b": false, "/a\r\nHost: b": false, "/a#b": false, "/ä": false,
		"/%zz": false, "//other/openapi.json": false, "/" + strings.Repeat("a", 1024): false,
	} {
		if wrong := checkDocumentPath(path); (wrong == "") != ok {
			t.Errorf("%.40q: %q", path, wrong)
		}
	}
}

func TestSettingsTellAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, _, faults := settings{name: "docs", domain: "users", port: 70000, documentPath: "x", auth: "oauth2"}.normal()
	var fields []string
	for _, f := range faults {
		fields = append(fields, f.Path)
	}
	if got := strings.Join(fields, " "); got != "domain name_service port document_path auth" {
		t.Errorf("faults of %s", got)
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	own := func() []netip.AddrPort {
		return []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:8001"), netip.MustParseAddrPort("[::]:8002"), netip.MustParseAddrPort("10.1.1.1:8003")}
	}
	for _, c := range []struct {
		allow, host, to string
		ok              bool
	}{
		{"", "users", "10.0.0.1:80", true},
		{"", "users", "127.0.0.1:80", true},
		{"", "users", "169.254.169.254:80", false},
		{"", "users", "[::ffff:169.254.169.254]:80", false},
		{"", "users", "[fe80::1]:80", false},
		{"", "users", "[fe80::1%eth0]:80", false},
		{"", "users", "224.0.0.1:80", false},
		{"", "users", "255.255.255.255:80", false},
		{"169.254.0.0/16", "users", "169.254.169.254:80", true},
		{"0.0.0.0/0", "users", "[2001:db8::1]:80", false},
		{"10.0.0.0/8", "users", "10.2.3.4:80", true},
		{"10.0.0.0/8", "users", "[::ffff:10.2.3.4]:80", true},
		{"10.0.0.0/8", "users", "11.2.3.4:80", false},
		{"10.0.0.7,::1", "users", "10.0.0.7:80", true},
		{"10.0.0.7,::1", "users", "[::1]:80", true},
		{"10.0.0.7", "users", "10.0.0.8:80", false},
		{"users", "users", "10.0.0.8:80", true},
		{"users", "Users", "10.0.0.8:80", true},
		{"users", "others", "10.0.0.8:80", false},
		{"users", "users", "169.254.169.254:80", false},
		{"*.internal", "a.b.internal", "10.0.0.8:80", true},
		{"*.internal", "internal", "10.0.0.8:80", false},
		{"*.internal", "x-internal", "10.0.0.8:80", false},
		{"", "users", "127.0.0.1:8001", false},
		{"127.0.0.0/8", "users", "127.0.0.1:8001", false},
		{"", "users", "127.0.0.2:8001", true},
		{"", "users", "0.0.0.0:8001", false},
		{"", "users", "[::]:8001", false},
		{"", "users", "127.9.9.9:8002", false},
		{"", "users", "[::ffff:127.0.0.1]:8002", false},
		{"", "users", "[::1]:8002", false},
		{"", "users", "192.0.2.1:8002", true},
		{"", "users", "10.1.1.1:8003", false},
		{"", "users", "10.1.1.2:8003", true},
		{"", "users", "[fd00:ec2::254]:80", false},
		{"", "users", "[fd00:ec2::253]:80", true},
		{"", "users", "100.100.100.200:80", false},
		{"users", "users", "100.100.100.200:80", false},
		{"100.64.0.0/10", "users", "100.100.100.200:80", false},
		{"100.64.0.0/10", "users", "100.100.100.201:80", true},
		{"100.100.100.200", "users", "100.100.100.200:80", true},
		{"0.0.0.0/0", "users", "169.254.169.254:80", false},
	} {
		a, err := ParseAllow(strings.FieldsFunc(c.allow, func(r rune) bool { return r == ',' }))
		if err != nil {
			t.Fatal(err)
		}
		err = rules{allow: a, deny: connectors.DefaultDeny(), own: own}.dial(c.host, netip.MustParseAddrPort(c.to))
		if (err == nil) != c.ok {
			t.Errorf("%s at %s with %q: %v", c.host, c.to, c.allow, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), c.host) {
			t.Errorf("where %s is, is told: %v", c.host, err)
		}
	}
	for _, text := range []string{"", "a b", "10.0.0.0/33", "*", "a.*", "http://users"} {
		if _, err := ParseAllow([]string{text}); err == nil {
			t.Errorf("%q is allowed", text)
		}
	}
}

func FuzzDomain(f *testing.F) {
	for _, s := range []string{"http://127.0.0.1", "https://[::1]/", "http://::1", "http://a_b.c", "http://0x1", "http://a:80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, wrong := parseDomain(text)
		if wrong != "" {
			return
		}
		again, wrong := parseDomain(d.String())
		if wrong != "" || again != d {
			t.Errorf("%q is %q, which is %q (%s)", text, d, again, wrong)
		}
		s := settings{name: "a", domain: text, port: 80}
		if s, _, faults := s.normal(); len(faults) > 0 || documentURL(s) != d.String()+":80/openapi.json" {
			t.Errorf("%q: %v", text, faults)
		}
		if err := schema.HostName(d.host); err != nil {
			t.Errorf("the gateway has no host %q: %v", d.host, err)
		}
	})
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"Hello", "a.b", "..", "-", "a~b", "docs"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if checkName(name) != "" {
			return
		}
		m := &maker{settings: settings{name: name, domain: "http://users", port: 80}, prefix: "/" + name, service: reference(entityID(name, services, ""))}
		m.addService(nil)
		m.addRest(nil)
		for _, e := range m.entities {
			if _, wrong := entity.Find(e.Collection).New(e.Doc, timeOfTests); wrong != nil {
				t.Errorf("%q: %s: %v", name, e.Collection, wrong)
			}
		}
	})
}

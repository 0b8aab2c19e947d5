package mongodb

import (
	"context"
	"errors"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/connectors"
)

func TestMask(t *testing.T) {
	for in, want := range map[string]string{
		"mongodb://host/db":                         "mongodb://host/db",
		"mongodb://user@host/db":                    "mongodb://user@host/db",
		"mongodb://user:secret@host/db?tls=true":    "mongodb://user:****@host/db?tls=true",
		"mongodb+srv://user:secret@a.example.com":   "mongodb+srv://user:****@a.example.com",
		"mongodb://user:se@cr@et@host1,host2:1/db":  "mongodb://user:****@host1,host2:1/db",
		"mongodb://user:se:cret@host":               "mongodb://user:****@host",
		"mongodb://user:@host":                      "mongodb://user:****@host",
		"mongodb://user:se/cret@host/db":            "****",
		"postgres://user:secret@host/db":            "****",
		"mongodb://user:p%40ss@host/?authSource=a":  "mongodb://user:****@host/?authSource=a",
		"mongodb://user:secret@[::1]:27017/?ssl=on": "mongodb://user:****@[::1]:27017/?ssl=on",
	} {
		if got := mask(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestSecrets(t *testing.T) {
	for in, want := range map[string][]string{
		"mongodb://host": nil, "mongodb://user@host": nil, "mongodb://user:secret@host": {"secret"},
		"mongodb://user:p%40ss@host": {"p%40ss", "p@ss"}, "mongodb://user:p@ss@host": {"p@ss"},
	} {
		if got := secrets(in); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
	spec := New().Spec()
	got := spec.Secrets(connectors.Config{"uri": "mongodb://user:p%40ss@host"})
	if !slices.Contains(got, "p@ss") {
		t.Errorf("secrets %q", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"mongodb://user:secret@host1,host2:27018/db?replicaSet=rs0&tls=true", "mongodb+srv://user:p%40ss@a.example.com/?srvMaxHosts=2",
		"mongodb://[::1]:27017,[fe80::1]/", "mongodb://user:se@cret@host", "mongodb://user:se/cret@host", "mongodb://", "x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := parse(s)
		if err != nil {
			return
		}
		if len(u.hosts) == 0 {
			t.Errorf("%q has no host", s)
		}
		if len(u.password) > 3 && u.password != u.user && strings.Contains(mask(s), ":"+u.password+"@") {
			t.Errorf("the mask of %q shows the password", s)
		}
	})
}

// records is a name server with one deployment.
type records struct {
	srv  []*net.SRV
	txt  []string
	err  error
	name string // that was asked for
}

func (r *records) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	r.name = "_" + service + "._" + proto + "." + name
	return "", r.srv, r.err
}

func (r *records) LookupTXT(context.Context, string) ([]string, error) {
	if len(r.txt) == 0 {
		return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	}
	return r.txt, nil
}

func TestResolve(t *testing.T) {
	two := []*net.SRV{{Target: "a.db.example.com.", Port: 27017}, {Target: "b.db.example.com.", Port: 27018}}
	for name, c := range map[string]struct {
		uri   string
		dns   records
		hosts []string
		want  connectors.Code
		check func(*uri) bool
	}{
		"two servers": {"mongodb+srv://db.example.com", records{srv: two}, []string{"a.db.example.com:27017", "b.db.example.com:27018"}, "",
			func(u *uri) bool { return u.tls() }},
		"one is enough":     {"mongodb+srv://db.example.com/?srvMaxHosts=1&tls=false", records{srv: two}, []string{"a.db.example.com:27017"}, "", func(u *uri) bool { return !u.tls() }},
		"options in TXT":    {"mongodb+srv://db.example.com/?authSource=mine", records{srv: two[:1], txt: []string{"authSource=theirs&replicaSet=rs0"}}, []string{"a.db.example.com:27017"}, "", func(u *uri) bool { return u.get("authSource") == "mine" && u.get("replicaset") == "rs0" }},
		"another service":   {"mongodb+srv://db.example.com/?srvServiceName=docs", records{srv: two[:1]}, []string{"a.db.example.com:27017"}, "", nil},
		"no record":         {"mongodb+srv://db.example.com", records{err: &net.DNSError{Err: "no such host", IsNotFound: true}}, nil, connectors.DNSFailure, nil},
		"empty record":      {"mongodb+srv://db.example.com", records{}, nil, connectors.DNSFailure, nil},
		"another domain":    {"mongodb+srv://db.example.com", records{srv: []*net.SRV{{Target: "a.evil.com.", Port: 27017}}}, nil, connectors.DNSFailure, nil},
		"a domain alike":    {"mongodb+srv://db.example.com", records{srv: []*net.SRV{{Target: "db.notexample.com.", Port: 27017}}}, nil, connectors.DNSFailure, nil},
		"a short name":      {"mongodb+srv://example.com", records{srv: []*net.SRV{{Target: "evil.com.", Port: 27017}}}, nil, connectors.DNSFailure, nil},
		"two TXT records":   {"mongodb+srv://db.example.com", records{srv: two, txt: []string{"authSource=a", "authSource=b"}}, nil, connectors.InvalidConfig, nil},
		"other TXT options": {"mongodb+srv://db.example.com", records{srv: two, txt: []string{"tls=false"}}, nil, connectors.InvalidConfig, nil},
		"nonsense in TXT":   {"mongodb+srv://db.example.com", records{srv: two, txt: []string{"nonsense"}}, nil, connectors.InvalidConfig, nil},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := parse(c.uri)
			if err != nil {
				t.Fatal(err)
			}
			err = u.resolve(t.Context(), &c.dns)
			var f *connectors.Failure
			if errors.As(err, &f); (c.want != "") != (err != nil) || f != nil && f.Code != c.want {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if err == nil && !reflect.DeepEqual(u.hosts, c.hosts) || c.check != nil && !c.check(u) {
				t.Errorf("got %+v", u)
			}
			if !strings.HasPrefix(c.dns.name, "_"+map[bool]string{true: "docs", false: "mongodb"}[name == "another service"]+"._tcp.") {
				t.Errorf("asked for %s", c.dns.name)
			}
		})
	}
}

// TestTestResolves makes sure that a test of an SRV connection string asks the
// resolver, and says what it did not find.
func TestTestResolves(t *testing.T) {
	m := &Connector{dns: &records{err: &net.DNSError{Err: "no such host", IsNotFound: true}}}
	c := connectors.Config{"uri": "mongodb+srv://user:secret@db.example.com/", "database": "shop"}
	_, f := connectors.Run(t.Context(), m, c, connectors.Env{}, 0)
	if f == nil || f.Code != connectors.DNSFailure || f.Stage != connectors.StageResolve || !strings.Contains(f.Detail, "_mongodb._tcp.db.example.com") {
		t.Errorf("got %+v", f)
	}
}

func TestForms(t *testing.T) {
	spec := New().Spec()
	got, faults := spec.Validate(map[string]any{"host": "db.example.com", "database": "shop"}, connectors.Env{})
	want := connectors.Config{
		"host": "db.example.com", "port": int64(27017), "use_tls": false, "direct_connection": false, "database": "shop",
		"min_pool_size": int64(1), "max_pool_size": int64(10), "connect_timeout_ms": int64(10_000), "tls_skip_verify": false,
	}
	if len(faults) > 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v (%v), want %v", got, faults, want)
	}
	got, faults = spec.Validate(map[string]any{"uri": "mongodb+srv://user:p%40ss@a.example.com/shop?retryWrites=true&w=majority&appName=x", "database": "shop"}, connectors.Env{})
	if len(faults) > 0 || got.Has("port") || got.Has("use_tls") {
		t.Errorf("got %v (%v)", got, faults)
	}
}

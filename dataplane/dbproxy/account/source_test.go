package account

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSource(t *testing.T) {
	ours := []Login{{"svc", "new"}, {"svc", "old"}}
	var opened []string
	server := func(name, password string, q Session) Server {
		return Server{Name: name, Open: func(_ context.Context, l Login) (Session, error) {
			opened = append(opened, name+" "+l.Password)
			if q == nil {
				return nil, errors.New("connection refused")
			}
			if l.Password != password {
				return nil, &ServerError{Number: errLoginDenied, Message: "Access denied"}
			}
			return q, nil
		}}
	}
	down := server("down", "", nil)
	first, second := mysql8(), mysql8()
	second.rows["mysql.user"] = append(slices.Clone(second.rows["mysql.user"]), "%|extra|N|N|N|||||||N|N")
	path := filepath.Join(t.TempDir(), "accounts.json")
	if err := os.WriteFile(path, []byte(someAccounts), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what     string
		source   Source
		servers  []Server
		accounts int
		opened   string
		fails    string
	}{
		{"the first server", Source{}, []Server{server("a", "new", first), server("b", "new", second)}, 4, "a new", ""},
		{"one that is up", Source{}, []Server{down, server("b", "new", second)}, 5, "down new,b new", ""},
		{"the previous password", Source{}, []Server{server("a", "old", first)}, 4, "a new,a old", ""},
		{"no password", Source{}, []Server{server("a", "other", first)}, 0, "a new,a old", "server a: Access denied"},
		{"all servers", Source{All: true}, []Server{server("a", "new", first), down, server("b", "new", second)}, 5, "a new,down new,b new", ""},
		{"nothing up", Source{All: true}, []Server{down}, 0, "down new", "server down: connection refused"},
		{"no servers", Source{}, nil, 0, "", "no server"},
		{"with a file", Source{File: path}, []Server{server("a", "new", first)}, 9, "a new", ""},
		{"a file alone", Source{File: path, FileOnly: true}, []Server{down}, 5, "", ""},
		{"a file without server", Source{File: path}, []Server{down}, 0, "down new", "connection refused"},
		{"a file that is not there", Source{File: path + "x"}, []Server{server("a", "new", first)}, 0, "a new", "accounts file"},
	} {
		opened = nil
		c.source.Servers = func() []Server { return c.servers }
		c.source.Logins = func() []Login { return ours }
		table, err := c.source.Load(t.Context())
		if got := strings.Join(opened, ","); got != c.opened {
			t.Errorf("%s: opened %s", c.what, got)
		}
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: %v", c.what, err)
			}
			continue
		}
		if err != nil || table.Accounts() != c.accounts {
			t.Errorf("%s: %v, %v", c.what, table, err)
		}
	}
}

// zone is a DNS in memory.
type zone struct {
	names map[string][]string
	addrs map[string][]netip.Addr
	hangs bool
}

func (z zone) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	if z.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return z.names[addr], nil
}

func (z zone) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	return z.addrs[host], nil
}

func TestHostName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := zone{
			names: map[string][]string{
				"192.0.2.1": {"App.example.com."}, "192.0.2.2": {"app.example.com."}, "2001:db8::1": {"six.example.com."},
			},
			addrs: map[string][]netip.Addr{
				"app.example.com": {addr(t, "192.0.2.9"), addr(t, "::ffff:192.0.2.1")}, "six.example.com": {addr(t, "2001:db8::1")},
			},
		}
		for client, want := range map[string]string{
			"192.0.2.1": "app.example.com", "::ffff:192.0.2.1": "app.example.com", "2001:db8::1": "six.example.com",
			"192.0.2.2": "", // its name leads elsewhere
			"192.0.2.3": "",
		} {
			if got := HostName(t.Context(), z, addr(t, client), time.Second); got != want {
				t.Errorf("%s is called %q", client, got)
			}
		}
		begun := time.Now()
		if got := HostName(t.Context(), zone{hangs: true}, addr(t, "192.0.2.1"), time.Second); got != "" || time.Since(begun) != time.Second {
			t.Errorf("a DNS that hangs: %q after %s", got, time.Since(begun))
		}
	})
}

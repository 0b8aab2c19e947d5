package account

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// The order in which a server tries hosts, as far as one client can match them
// all. That of MariaDB was seen on MariaDB 10.11; that of MySQL is in its
// manual ("Access Control, Stage 1: Connection Verification").
func TestHostOrder(t *testing.T) {
	for _, c := range []struct {
		server Product
		hosts  []string
	}{
		{MariaDB, []string{
			"localhost", `127.0.0\.1`, "127.0.0.1/255.255.255.255", "127.0.0.1", "127.0.0.0/255.255.255.0",
			"localhos_", "127.0.0._", "_ocalhos_", "_oc_lhost", "127._._.1", "127._.0._", "1______.1",
			"%localhost", "localhost%", `127.0.0\.%`, "127.0.0.%", "_ocal%", "l_cal%", "127%1", "loca%",
			"%ost", "%loc%", "l%o%t", "%.1", "__%", "%t", "1%", "_%", "%_", "%_%", "%%", "%",
		}},
		{MariaDB, []string{
			"localhost", `127.0.0.\1`, `_\27.0.0.1`, "_27.0.0.1", `1_7.0.0.\1`, "1_7.0.0.1", "loca_host", "127._.0.1",
			"_o_alhos_", "%localhost", "loc%alhost", "127%.0.0.1", "127.0%.0.1", "127.0.0.%%1", "localhost%%",
			"localhost%", "_ocalh%ost", "_27.0.0.1%", "_%27.0.0.1", "%127._.0.1", `1_7.0.%0\.1`, "local_os%t",
			"127.0.0_1%", "127.0.0._%", `loc_%lho\s_`, "localh_s_%%", "12_.0.0.%1%", "1_7.0.0%1", `loca_h%s\t`,
			"%127.0._.%%", "loc%host", "l_ca%ost", "loca%os%t", "l%lhost", "127.%.1", "%_l_ost", "l%a_hos%",
			"127%.1", "loc%t", "lo%%_", "%.1", "%os%%", "%t%%", "%",
		}},
		{MySQL, []string{
			"198.51.100.13", "198.51.100.0/24", "198.51.100.0/255.255.255.0", "198.51.100.%", "198.51.%", "%.13", "%",
		}},
	} {
		for seed := range uint64(20) {
			list := accounts("u", c.hosts...)
			random := rand.New(rand.NewPCG(seed, 0))
			random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			var got []string
			for _, e := range New(Data{Product: c.server, Accounts: list}).users["u"] {
				got = append(got, e.account.Host)
			}
			if !slices.Equal(got, c.hosts) {
				// MySQL leaves open which of two hosts with equal wildcards comes first.
				t.Fatalf("seed %d:\n got %q\nwant %q", seed, got, c.hosts)
			}
		}
	}
}

func TestHostMatches(t *testing.T) {
	name := func(n string) func() string { return func() string { return n } }
	for _, c := range []struct {
		host, client string
		name         string
		server       Product
		want         bool
	}{
		{host: "%", client: "192.0.2.1", want: true},
		{host: "", client: "192.0.2.1", want: true},
		{host: "192.0.2.1", client: "192.0.2.1", want: true},
		{host: "192.0.2.1", client: "::ffff:192.0.2.1", want: true},
		{host: "192.0.2.01", client: "192.0.2.1"},
		{host: "192.0.2._", client: "192.0.2.1", want: true},
		{host: "192.0.2._", client: "192.0.2.12"},
		{host: "192.0.%", client: "192.0.2.12", want: true},
		{host: "198.51.100.0/255.255.255.0", client: "198.51.100.77", want: true},
		{host: "198.51.100.0/255.255.255.0", client: "::ffff:198.51.100.77", want: true},
		{host: "198.51.100.0/255.255.255.0", client: "198.51.101.77"},
		{host: "198.51.100.0/255.255.255.240", client: "198.51.100.15", want: true},
		{host: "198.51.100.0/255.255.255.240", client: "198.51.100.16"},
		{host: "198.51.100.9/255.255.255.0", client: "198.51.100.9"}, // the base has bits outside the mask
		{host: "0.0.0.0/0.0.0.0", client: "198.51.100.9"},
		{host: "198.51.100.0/255.255.255.0", client: "2001:db8::1"},
		{host: "198.51.100.0/24", client: "198.51.100.9"},
		{host: "198.51.100.0/24", client: "198.51.100.9", server: MySQL, want: true},
		{host: "198.51.100.0/24", client: "198.51.101.9", server: MySQL},
		{host: "2001:db8::1", client: "2001:db8::1", want: true},
		{host: "2001:DB8::1", client: "2001:db8::1", want: true},
		{host: "2001:db8::%", client: "2001:db8::77", want: true},
		{host: "2001:db8::%", client: "2001:db9::77"},
		{host: "fe80::1", client: "fe80::1%eth0", want: true},
		{host: "App.Example.com", client: "192.0.2.1", name: "app.example.com", want: true},
		{host: "%.example.com", client: "192.0.2.1", name: "APP.example.COM.", want: true},
		{host: "%.example.com", client: "192.0.2.1", name: "app.example.org"},
		{host: "%.example.com", client: "192.0.2.1"},
		{host: "192.0.%", client: "203.0.113.1", name: "192.0.evil.example"}, // a name made to look like an address
		{host: "%.evil.example", client: "203.0.113.1", name: "192.evil.example"},
		{host: "localhost", client: "127.0.0.1", want: true},
		{host: "localhost", client: "::1", want: true},
		{host: "localhost", client: "127.0.0.2"},
		{host: "localhost", client: "", want: true},
		{host: "127.0.0.1", client: ""},
		{host: "%", client: "", want: true},
	} {
		h := compileHost(c.host, c.server)
		if got := h.matches(comingFrom(addr(t, c.client), name(c.name), false)); got != c.want {
			t.Errorf("host %q, client %q named %q: %v", c.host, c.client, c.name, got)
		}
	}
}

func TestNamesAreAskedForOnceAndOnlyIfNeeded(t *testing.T) {
	client := netip.MustParseAddr("192.0.2.7")
	for _, c := range []struct {
		hosts []string
		skip  bool
		asked int
		want  string
	}{
		{hosts: []string{"%", "192.0.2.%", "10.0.0.1", "2001:db8::1", "10.0.0.0/255.0.0.0"}, want: "192.0.2.%"},
		{hosts: []string{"%.example.com", "%.example.org", "other"}, asked: 1, want: "%.example.com"},
		{hosts: []string{"%.example.com", "%"}, skip: true, want: "%"},
		{hosts: []string{"%.example.com", "192.0.2.7"}, want: "192.0.2.7"},
	} {
		asked := 0
		name := func() string { asked++; return "app.example.com" }
		m := New(Data{Accounts: accounts("u", c.hosts...)}).Find("u", client, name, Options{SkipNameResolve: c.skip})
		if !m.OK() || m.Account.Host != c.want || asked != c.asked {
			t.Errorf("%q: found %v, asked %d times", c.hosts, m.Account, asked)
		}
	}
}

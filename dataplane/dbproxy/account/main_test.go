package account

import (
	"net/netip"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func addr(t *testing.T, text string) netip.Addr {
	t.Helper()
	if text == "" {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// accounts makes accounts that share a user.
func accounts(user string, hosts ...string) []Account {
	var list []Account
	for _, h := range hosts {
		list = append(list, Account{Name: Name{User: user, Host: h}, Methods: []Method{{Plugin: NativePassword}}})
	}
	return list
}

package account_test

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/account"
)

func TestList(t *testing.T) {
	name := func(user, host string) account.Name { return account.Name{User: user, Host: host} }
	table := account.New(account.Data{
		Product: account.MariaDB,
		Accounts: []account.Account{
			{Name: name("writers", ""), Role: true},
			{Name: name("b", "%"), Methods: []account.Method{{Plugin: "ed25519"}, {Plugin: "unix_socket"}}, DefaultRoles: []account.Name{name("writers", "")}},
			{Name: name("b", "10.%"), TLS: account.Demand{Required: true}},
			{Name: name("a", "%"), Privileges: account.Select | account.Super, Methods: []account.Method{{Plugin: account.NativePassword}}},
		},
		Proxies: []account.Proxy{{Name: name("b", "10.%")}},
	})
	want := []account.Listed{
		{Name: name("a", "%"), Plugin: account.NativePassword, Super: true, Global: true},
		{Name: name("b", "%"), Plugin: "ed25519", DefaultRole: "writers"},
		{Name: name("b", "10.%"), TLS: true, Proxy: true},
	}
	if got := table.List(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if table.Product() != account.MariaDB || len(account.Empty().List()) != 0 {
		t.Error("an empty table has accounts")
	}
}

func TestUpdated(t *testing.T) {
	fail := true
	r := account.NewRefresher(account.RefreshOptions{Load: func(context.Context) (*account.Table, error) {
		if fail {
			return nil, errors.New("no server")
		}
		return account.New(account.Data{}), nil
	}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	defer func() { cancel(); <-done }()
	before := time.Now()
	if err := r.Reload(ctx); err == nil || !r.Updated().IsZero() {
		t.Errorf("after a failed load: %v, %v", err, r.Updated())
	}
	fail = false // the load of the next Reload starts after this
	if err := r.Reload(ctx); err != nil || r.Updated().Before(before) {
		t.Errorf("after a load: %v, %v", err, r.Updated())
	}
}

func TestFoldDatabases(t *testing.T) {
	who := account.Name{User: "u", Host: "%"}
	data := account.Data{
		Accounts: []account.Account{{Name: who}}, Grants: []account.Grant{{Name: who, Database: "Shop"}},
		Databases: []string{"SHOP"}, Complete: true,
	}
	table := account.New(data)
	for fold, want := range map[bool]account.Verdict{false: account.NoAccess, true: account.Allowed} {
		m := table.Find("u", netip.MustParseAddr("127.0.0.1"), nil, account.Options{FoldDatabases: fold})
		if got := table.AllowsDatabase(m, "sHop", true); got != want {
			t.Errorf("fold %v: %v", fold, got)
		}
	}
	m := table.Find("u", netip.MustParseAddr("127.0.0.1"), nil, account.Options{FoldDatabases: true})
	data.Databases = []string{"other"}
	if got := account.New(data).AllowsDatabase(m, "shop", true); got != account.NoDatabase {
		t.Errorf("a database that is not there: %v", got)
	}
}

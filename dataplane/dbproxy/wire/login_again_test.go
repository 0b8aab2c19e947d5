package wire

import (
	"errors"
	"testing"
)

// mariadbAgain changes users of all plugins into one another on one connection.
func mariadbAgain(t *testing.T, addr string) {
	var version string
	c, r, err := dialLogin(t, addr, LoginOptions{User: "app", Credentials: Password("secret"), Greeted: func(g *Greeting) { version = g.Version }})
	if err != nil {
		t.Fatal(err)
	}
	if version != r.Greeting.Version || version == "" {
		t.Errorf("greeted by %q", version)
	}
	native, ed := HashNative("secret").Credentials(), Password("secret")
	attributes := []Attribute{{"program", "test"}}
	for i, o := range []LoginOptions{
		{User: "app", Credentials: native, Database: "shop"}, {User: "ed", Credentials: ed, Attributes: attributes},
		{User: "app", Credentials: ed, Charset: CharsetLatin1}, {User: "app", Credentials: native, Attributes: attributes},
	} {
		kinds := 0
		ok, err := LoginAgain(c, o, r.Capabilities, func(p []byte) error { kinds++; return nil })
		if err != nil || !ok.Status.Has(StatusAutocommit) || kinds != 2 {
			t.Fatalf("%d: %+v after %d packets, %v", i, ok, kinds, err)
		}
		m := &mariadbClient{t: t, conn: c, caps: r.Capabilities}
		m.ping()
	}
	_, err = LoginAgain(c, LoginOptions{User: "app", Credentials: Password("wrong")}, r.Capabilities, nil)
	if !errors.Is(err, &ServerError{Code: ErrCodeAccessDenied}) {
		t.Errorf("wrong password: %v", err)
	}
}

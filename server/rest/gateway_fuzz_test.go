package rest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// FuzzGatewayForm sends forms through the façade: it answers in its dialect, and
// what the RPC gets is what the same form is as JSON.
func FuzzGatewayForm(f *testing.F) {
	for _, form := range []string{
		"name=a&port=80&tags[]=x&tags[]=y", "config.minute=5&name=limiter", "a.b=1&a=2", "hosts[2]=b&hosts[1]=a", "=", "[]=x", "a[b.c]=1", "%zz", "a=%FF&%FF=a",
		"healthchecks.active.healthy.http_statuses[1]=200", "name=\x00", "a" + strings.Repeat(".a", 40) + "=1", "ca_certificates=&tags=&enabled=true&enabled=false",
	} {
		for at := range formPaths {
			f.Add(byte(at), form)
		}
	}
	back := &fake{}
	s := facadeOf(f, back, func(o *Options) { o.PluginKind = limiter })
	f.Fuzz(func(t *testing.T, at byte, form string) {
		back.says(nil, "", nil)
		verb, path, _ := strings.Cut(formPaths[int(at)%len(formPaths)], " ")
		a := ask(t, s, verb, path, form, "Content-Type", formType)
		_, got, _ := back.last()
		if a.status >= 300 {
			var failure struct{ Message string }
			if err := json.Unmarshal([]byte(a.body), &failure); err != nil || failure.Message == "" || a.status != http.StatusBadRequest || got != nil {
				t.Fatalf("%q is answered %d %s, and the RPC got %v", form, a.status, a.body, got)
			}
			return
		}
		document := said(t, got)
		back.says(nil, "", nil)
		if b := ask(t, s, verb, path, document); b.status != a.status {
			t.Fatalf("%q is answered %d, as JSON %s it is %d %s", form, a.status, document, b.status, b.body)
		}
		_, got, _ = back.last()
		if again := said(t, got); again != document {
			t.Fatalf("%q is %s, as JSON %s", form, document, again)
		}
	})
}

var formPaths = []string{"POST /services", "PUT /routes/r", "PATCH /upstreams/u", "POST /plugins", "POST /consumers/c/key-auth", "POST /schemas/plugins/validate"}

package keyauth

import (
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

// BenchmarkRequest is what a request costs with the plugin and without it.
func BenchmarkRequest(b *testing.B) {
	for _, with := range []bool{false, true} {
		name := "without"
		if with {
			name = "with"
		}
		b.Run(name, func(b *testing.B) {
			s := gatewaytest.Service(gatewaytest.Serve(b, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
			g := gatewaytest.Start(b, httpproxy.Options{
				Modules: []httpproxy.PluginModule{Module()}, Logger: slog.New(slog.DiscardHandler),
			}, gatewaytest.All(s, gatewaytest.Route(s, "/"), alice, gatewaytest.Key(alice, "secret")))
			if with {
				g.Put(gatewaytest.Plugin("key-auth", `{}`))
			}
			b.ReportAllocs()
			for b.Loop() {
				req, err := http.NewRequest(http.MethodGet, g.URL, nil)
				if err != nil {
					b.Fatal(err)
				}
				req.Header.Set("apikey", "secret")
				res, err := g.Client.Do(req)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		})
	}
}

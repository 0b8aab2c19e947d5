// Command gateway is an HTTP gateway of a few lines: it carries requests to the
// upstream of its command line, a few a minute from each client.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/builtin"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: gateway ADDRESS UPSTREAM-URL")
		os.Exit(2)
	}
	if err := run(ctx, os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves at an address until ctx ends.
func run(ctx context.Context, address, upstream string) error {
	gateway, err := httpproxy.New(httpproxy.Options{HTTP: address, Modules: builtin.Modules()})
	if err != nil {
		return err
	}
	service, route, limit := &entity.Service{}, &entity.Route{}, &entity.Plugin{}
	if err := read(entity.Find("services"), map[string]any{"url": upstream}, service); err != nil {
		return errors.Join(err, gateway.Close())
	}
	err = errors.Join(
		read(entity.Find("routes"), map[string]any{"paths": []any{"/"}, "service": map[string]any{"id": service.ID.String()}}, route),
		read(pluginKind("rate-limiting"), map[string]any{"name": "rate-limiting", "config": map[string]any{"minute": int64(5), "limit_by": "ip"}}, limit),
	)
	if err == nil {
		err = gateway.Update(httpproxy.Update{Put: httpproxy.Entities{
			Services: []*entity.Service{service}, Routes: []*entity.Route{route}, Plugins: []*entity.Plugin{limit},
		}})
	}
	if err != nil {
		return errors.Join(err, gateway.Close())
	}
	return gateway.Run(ctx)
}

// read makes an entity of what is said of it: the rest is by default.
func read(c *entity.Collection, said map[string]any, to any) error {
	doc, wrong := c.New(said, time.Now())
	if wrong != nil {
		return wrong
	}
	return schema.Into(doc, to)
}

// pluginKind is the collection of the plugins of one kind.
func pluginKind(name string) *entity.Collection {
	for _, m := range builtin.Modules() {
		if m.Name == name {
			return entity.PluginsOf(m.Config, m.Protocols, m.NoConsumer)
		}
	}
	return nil
}

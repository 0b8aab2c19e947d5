// Command proxy is a database proxy of a few lines: it splits reads and writes
// between the servers of its command line, of which it finds the master itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/builtin"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: proxy PORT USER PASSWORD SERVER-PORT…")
		os.Exit(2)
	}
	port, err := strconv.Atoi(os.Args[1])
	if err == nil {
		err = run(ctx, port, os.Args[2], os.Args[3], os.Args[4:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves on port until ctx ends. The user reads the accounts of the
// servers, and watches them.
func run(ctx context.Context, port int, user, password string, serverPorts []string) error {
	login := map[string]any{"user": user, "password": password}
	modules := builtin.Modules()
	config := dbproxy.Config{
		Settings: param.MustParse(dbproxy.SettingsSpecs(), nil),
		Monitors: []dbproxy.MonitorConfig{{
			Name: "watch", Module: "mariadbmon", Params: param.MustParse(modules.Monitors["mariadbmon"].Specs, login),
		}},
		Services: []dbproxy.ServiceConfig{{
			Name: "split", Router: "readwritesplit", Cluster: "watch",
			Params: param.MustParse(dbproxy.ServiceSpecs().With(modules.Routers["readwritesplit"].Specs...), login),
		}},
		Listeners: []dbproxy.ListenerConfig{{
			Name: "in", Service: "split", Params: param.MustParse(dbproxy.ListenerSpecs(), map[string]any{"address": "127.0.0.1", "port": port}),
		}},
	}
	for i, p := range serverPorts {
		name := fmt.Sprintf("server%d", i+1)
		config.Servers = append(config.Servers, dbproxy.ServerConfig{
			Name: name, Params: param.MustParse(dbproxy.ServerSpecs(), map[string]any{"address": "127.0.0.1", "port": p}),
		})
		config.Monitors[0].Servers = append(config.Monitors[0].Servers, name)
	}

	proxy := dbproxy.New(dbproxy.Options{Modules: modules})
	if err := proxy.Apply(ctx, config); err != nil {
		return errors.Join(err, proxy.Close())
	}
	return proxy.Run(ctx)
}

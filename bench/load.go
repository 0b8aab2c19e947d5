package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
)

// The load on single calls: so many callers, over so many connections.
const (
	grpcCallers = 32
	grpcConns   = 4
	restConns   = 64
)

// hammer calls do from so many goroutines for a while and returns how many
// calls were done in a second.
func hammer(o *owner, callers int, d time.Duration, do func(caller int) error) float64 {
	var all sync.WaitGroup
	var count atomic.Int64
	var failed atomic.Pointer[error]
	began := time.Now()
	for i := range callers {
		all.Go(func() {
			n := int64(0)
			for time.Since(began) < d && failed.Load() == nil {
				if err := do(i); err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				n++
			}
			count.Add(n)
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		o.must(*err)
	}
	return float64(count.Load()) / time.Since(began).Seconds()
}

// grpcLoad gets one service over gRPC, again and again.
type grpcLoad struct {
	clients []catalogv1.ServiceCatalogClient
	ctx     context.Context
	id      string
}

func newGRPCLoad(o *owner, addr, id string) *grpcLoad {
	l := &grpcLoad{ctx: loggedIn(), id: id}
	for range grpcConns {
		conn := connect(o, addr, nil)
		o.Cleanup(func() { conn.Close() })
		l.clients = append(l.clients, catalogv1.NewServiceCatalogClient(conn))
	}
	return l
}

func (l *grpcLoad) run(o *owner, d time.Duration) float64 {
	return hammer(o, grpcCallers, d, func(caller int) error {
		r, err := l.clients[caller%grpcConns].GetService(l.ctx, &catalogv1.GetServiceRequest{Id: l.id})
		if err == nil && !r.GetOk() {
			err = errors.New("an empty answer")
		}
		return err
	})
}

// wrkLoad is a load on one URL.
func wrkLoad(url string) func(*owner, time.Duration) float64 {
	return func(o *owner, d time.Duration) float64 { return wrk(o, url, d) }
}

var (
	wrkRate   = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	wrkFaults = regexp.MustCompile(`(?m)^\s+(Non-2xx|Socket errors).*$`)
)

// wrk gets a URL over keep-alive connections, logged in, and returns requests
// in a second. wrk takes so little CPU that the server decides.
func wrk(o *owner, url string, d time.Duration) float64 {
	out, err := exec.Command("wrk", "-t", "1", "-c", strconv.Itoa(restConns), "-d", fmt.Sprintf("%ds", int(d.Seconds())),
		"-H", "Authorization: "+authorization, url).CombinedOutput()
	if err != nil {
		o.Fatalf("wrk (testbed/install.sh installs it): %v\n%s", err, out)
	}
	if bad := wrkFaults.Find(out); bad != nil {
		o.Fatalf("wrk: %s", bytes.TrimSpace(bad))
	}
	m := wrkRate.FindSubmatch(out)
	if m == nil {
		o.Fatalf("wrk printed no rate:\n%s", out)
	}
	rate, err := strconv.ParseFloat(string(m[1]), 64)
	o.must(err)
	return rate
}

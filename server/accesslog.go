package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

const (
	// accessLogDelay is how long a line may wait for others to be written with.
	accessLogDelay  = 200 * time.Millisecond
	accessLogBuffer = 64 << 10
)

// openAccessLog opens the log of the HTTP gateway's requests; nil without one.
// It is closed with the server, after the gateway.
func (s *Server) openAccessLog() (*slog.Logger, error) {
	var to io.Writer = os.Stdout
	closeFile := func() error { return nil }
	switch path := s.conf.GatewayAccessLog; path {
	case "":
		return nil, nil
	case "-":
	default:
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
		if err != nil {
			return nil, fmt.Errorf("--gateway-access-log: %w", err)
		}
		to, closeFile = f, f.Close
	}
	w := newDelayed(to, func(err error) { s.log.Error("write the access log of the gateway", "error", err) })
	s.closers.Push("access log", func(context.Context) error { return errors.Join(w.Close(), closeFile()) })
	return slog.New(slog.NewJSONHandler(w, nil)), nil
}

// delayed collects lines, so that requests do not wait for a disk one by one.
type delayed struct {
	failed func(error)
	stop   chan struct{}
	ended  sync.WaitGroup

	mu sync.Mutex
	w  *bufio.Writer
	to io.Writer
}

func newDelayed(to io.Writer, failed func(error)) *delayed {
	d := &delayed{failed: failed, stop: make(chan struct{}), w: bufio.NewWriterSize(to, accessLogBuffer), to: to}
	d.ended.Go(func() {
		tick := time.NewTicker(accessLogDelay)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if err := d.flush(); err != nil {
					d.failed(err)
				}
			case <-d.stop:
				return
			}
		}
	})
	return d
}

// Write implements io.Writer.
func (d *delayed) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.w.Write(p)
}

// flush writes what was collected. After a failure it goes on with what comes
// next: a full disk may have room again.
func (d *delayed) flush() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.w.Flush()
	if err != nil {
		d.w.Reset(d.to)
	}
	return err
}

// Close writes the rest.
func (d *delayed) Close() error {
	close(d.stop)
	d.ended.Wait()
	return d.flush()
}

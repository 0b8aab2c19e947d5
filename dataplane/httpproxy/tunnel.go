package httpproxy

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/h1"
)

// tunnel carries bytes between the client and the upstream, after they have
// agreed on a protocol other than HTTP, until one of them ends. It ends as well
// when nothing has passed for as long as the service's answers may take.
func (x *Exchange) tunnel(client net.Conn, read []byte) {
	x.up.tunnelled = true
	x.conn.task.Leave() // each way has a goroutine
	c, ok := x.up.held.(*upstreamConn)
	if !ok {
		return
	}
	if c.cancelled(x) {
		c.close()
		return
	}
	upstream, answered := c.client.Hijack()
	t := &tunnel{idle: x.service.read}
	t.touch()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		t.carry(upstream, client, read)
	}()
	x.Response.Sent = t.carry(client, upstream, answered)
	<-sent
	_ = upstream.Close()
}

// tunnel is two ways between two connections.
type tunnel struct {
	idle time.Duration
	last atomic.Int64 // when something has passed, Unix nanoseconds
}

func (t *tunnel) touch() { t.last.Store(time.Now().UnixNano()) }

// carry carries one way until it ends. Its end is told to the other side; after
// an error the other way ends, too.
func (t *tunnel) carry(to, from net.Conn, first []byte) int64 {
	n, err := t.copy(touching{to, t}, from, first)
	if half, ok := to.(interface{ CloseWrite() error }); err == nil && ok && half.CloseWrite() == nil {
		return n
	}
	_ = from.Close()
	_ = to.Close()
	return n
}

func (t *tunnel) copy(to touching, from net.Conn, first []byte) (n int64, err error) {
	if len(first) > 0 {
		wrote, err := to.Write(first)
		if n = int64(wrote); err != nil {
			return n, err
		}
	}
	for {
		// What fails here fails again in reading.
		_ = from.SetReadDeadline(time.Unix(0, t.last.Load()).Add(t.idle))
		copied, err := h1.Copy(to, from)
		n += copied
		idle := time.Since(time.Unix(0, t.last.Load())) >= t.idle
		if idle || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		// Something has passed the other way.
	}
}

// touching notes down that something passes.
type touching struct {
	net.Conn
	t *tunnel
}

func (w touching) Write(p []byte) (int, error) {
	w.t.touch()
	_ = w.SetWriteDeadline(time.Now().Add(w.t.idle)) // what fails here fails again in writing
	n, err := w.Conn.Write(p)
	if err != nil {
		// Not to be taken for a time that was exceeded in reading.
		err = fmt.Errorf("write: %v", err)
	}
	return n, err
}

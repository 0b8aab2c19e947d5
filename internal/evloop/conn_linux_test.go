package evloop

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"
)

// TestConformance holds connections without tasks against what is expected of
// a net.Conn, over TCP and Unix sockets.
func TestConformance(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			g := group(t, 2)
			nettest.TestConn(t, func() (a, b net.Conn, stop func(), err error) {
				address := "127.0.0.1:0"
				if network == "unix" {
					address = filepath.Join(t.TempDir(), "s")
				}
				l, err := net.Listen(network, address)
				if err != nil {
					return nil, nil, nil, err
				}
				defer l.Close()
				there, err := net.Dial(network, l.Addr().String())
				if err != nil {
					return nil, nil, nil, err
				}
				here, err := l.Accept()
				if err != nil {
					return nil, nil, nil, err
				}
				x, err := g.Adopt(here)
				if err != nil {
					return nil, nil, nil, err
				}
				y, err := g.Adopt(there)
				if err != nil {
					return nil, nil, nil, err
				}
				return x, y, func() { x.Close(); y.Close() }, nil
			})
		})
	}
}

// TestManyWriters is that all who wait to write go on, when what tells of room
// comes once for all, and one of the others has used the room.
func TestManyWriters(t *testing.T) {
	g := group(t, 2)
	const writers, writes, size = 8, 20, 64 << 10
	for range 20 {
		c, there := pair(t, g)
		must(t, c.SetWriteDeadline(time.Now().Add(patience)))
		must(t, there.SetReadDeadline(time.Now().Add(patience)))
		var all sync.WaitGroup
		for range writers {
			all.Go(func() {
				for range writes {
					if _, err := c.Write(make([]byte, size)); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		if n, err := io.CopyN(io.Discard, there, writers*writes*size); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		all.Wait()
	}
}

func TestRelayInATask(t *testing.T) {
	g := group(t, 2)
	a, client := pair(t, g)
	b, server := pair(t, g)
	wait := task(t, g, func(task *Task) {
		bound(t, task, a, b)
		if _, err := io.Copy(struct{ io.Writer }{b}, struct{ io.Reader }{a}); err != nil {
			t.Error(err)
		}
		if err := b.CloseWrite(); err != nil {
			t.Error(err)
		}
		// The other direction is open still.
		if _, err := a.Write([]byte("over")); err != nil {
			t.Error(err)
		}
	})
	sent := make([]byte, 8<<20)
	rand.Read(sent)
	go func() {
		client.Write(sent) //nolint:errcheck // what arrives is looked at
		client.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(server)
	must(t, err)
	if !bytes.Equal(got, sent) {
		t.Fatal("other bytes have arrived")
	}
	end := make([]byte, 4)
	_, err = io.ReadFull(client, end)
	must(t, err)
	wait()
}

func TestTheLastWordIsHeard(t *testing.T) {
	g := group(t, 1)
	c, there := pair(t, g)
	_, err := there.Write([]byte("word"))
	must(t, err)
	must(t, there.Close())
	task(t, g, func(task *Task) {
		bound(t, task, c)
		got, err := io.ReadAll(c)
		if err != nil || string(got) != "word" {
			t.Errorf("%q, %v", got, err)
		}
		if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("after the end: %d, %v", n, err)
		}
	})()
}

func TestDeadlineInATask(t *testing.T) {
	g := group(t, 1)
	c, there := pair(t, g)
	task(t, g, func(task *Task) {
		bound(t, task, c)
		c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) //nolint:errcheck // the read tells
		_, err := c.Read(make([]byte, 1))
		var ne net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("read: %v", err)
		}
		c.SetDeadline(time.Time{}) //nolint:errcheck // the read tells
		if _, err := there.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Errorf("after the deadline was taken back: %v", err)
		}
		c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond)) //nolint:errcheck // the write tells
		if _, err := c.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write: %v", err)
		}
	})()
}

// TestWokenByDeadline has somebody else end the waiting of a task.
func TestWokenByDeadline(t *testing.T) {
	g := group(t, 1)
	c, _ := pair(t, g)
	waiting := make(chan struct{})
	wait := task(t, g, func(task *Task) {
		bound(t, task, c)
		close(waiting)
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	})
	within(t, waiting)
	must(t, c.SetReadDeadline(time.Unix(1, 0)))
	wait()
}

func TestCloseEndsReadsAndWrites(t *testing.T) {
	g := group(t, 1)
	for name, wait := range map[string]func(*Conn) error{
		"read":  func(c *Conn) error { _, err := c.Read(make([]byte, 1)); return err },
		"write": func(c *Conn) error { _, err := c.Write(make([]byte, 64<<20)); return err },
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := pair(t, g)
			begun := make(chan struct{})
			ended := task(t, g, func(task *Task) {
				bound(t, task, c)
				close(begun)
				if err := wait(c); !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
			})
			within(t, begun)
			must(t, c.Close())
			ended()
			if err := c.Close(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("closed twice: %v", err)
			}
		})
	}
}

func TestHurryEndsWrites(t *testing.T) {
	g := group(t, 1)
	c, _ := pair(t, g)
	begun := make(chan struct{})
	ended := task(t, g, func(task *Task) {
		bound(t, task, c)
		close(begun)
		for range 2 {
			if _, err := c.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
		}
	})
	within(t, begun)
	c.Hurry()
	ended()
}

// TestDescriptorsComeAgain opens and closes connections while others talk:
// nobody may hear what was meant for another one of the same number.
func TestDescriptorsComeAgain(t *testing.T) {
	g := group(t, 2)
	var ends []func()
	for range 8 {
		ends = append(ends, task(t, g, func(task *Task) {
			for i := range 50 {
				var c *Conn
				var there net.Conn
				task.Outside(func() { c, there = pair(t, g) })
				bound(t, task, c)
				word := []byte{byte(i), 1, 2, 3}
				task.Outside(func() { there.Write(word) }) //nolint:errcheck // the read tells
				got := make([]byte, 4)
				if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, word) {
					t.Errorf("%v, %v", got, err)
				}
				c.Close()
				there.Close()
			}
		}))
	}
	for _, wait := range ends {
		wait()
	}
}

func TestRawConn(t *testing.T) {
	g := group(t, 1)
	c, there := pair(t, g)
	raw, err := c.SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) {
		must(t, syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1))
	}))
	calls := 0
	go there.Write([]byte("peek")) //nolint:errcheck // the read tells
	must(t, raw.Read(func(fd uintptr) bool {
		calls++
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 4), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return err == nil
	}))
	if calls == 0 {
		t.Error("it was not asked")
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "peek" {
		t.Errorf("%q, %v: what was seen is to be read still", got, err)
	}
	must(t, raw.Write(func(uintptr) bool { return true }))
	must(t, c.SetReadDeadline(time.Unix(1, 0)))
	if err := raw.Read(func(uintptr) bool { return false }); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	must(t, c.Close())
	if err := raw.Control(func(uintptr) { t.Error("called") }); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestAdoptRefusesOthers(t *testing.T) {
	g := group(t, 1)
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, err := g.Adopt(a); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
}

func TestClosedGroup(t *testing.T) {
	g, err := New(Options{Loops: 1})
	must(t, err)
	c, _ := pair(t, g)
	reads := make(chan struct{})
	wait := task(t, g, func(task *Task) {
		bound(t, task, c)
		close(reads)
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	within(t, reads)
	must(t, g.Close())
	wait()
	here, there := sockets(t)
	defer here.Close()
	defer there.Close()
	if _, err := g.Adopt(here); !errors.Is(err, errGroupClosed) {
		t.Error(err)
	}
	if _, err := here.Write([]byte("x")); err != nil {
		t.Errorf("what was not adopted is as it was: %v", err)
	}
}

// TestHangup is that the loop tells when a peer has said its last word, whoever
// waits for something else then.
func TestHangup(t *testing.T) {
	g := group(t, 1)
	for name, end := range map[string]struct {
		by   func(*net.TCPConn) error
		gone bool
	}{
		"half": {(*net.TCPConn).CloseWrite, false},
		"reset": {func(c *net.TCPConn) error {
			if err := c.SetLinger(0); err != nil {
				return err
			}
			return c.Close()
		}, true},
	} {
		a, client := pair(t, g)
		other, there := pair(t, g)
		told := make(chan bool, 16)
		registered := make(chan struct{})
		wait := task(t, g, func(task *Task) {
			bound(t, task, a, other)
			a.OnHangup(func(gone bool) { told <- gone })
			close(registered)
			if _, err := other.Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
		})
		within(t, registered)
		must(t, end.by(client.(*net.TCPConn)))
		if gone := within(t, told); gone != end.gone {
			t.Errorf("%s: gone: %v", name, gone)
		}
		again := make(chan bool, 16)
		a.OnHangup(func(gone bool) { again <- gone }) // which was so already
		within(t, again)
		_, err := there.Write([]byte{1})
		must(t, err)
		wait()
	}
}

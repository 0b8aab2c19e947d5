package evloop

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestOutsideHoldsNobodyUp has a task wait for another one of its loop, which
// it could not without leaving the loop. The watchdog does not help.
func TestOutsideHoldsNobodyUp(t *testing.T) {
	g, err := newGroup(Options{Loops: 1}, time.Hour)
	must(t, err)
	defer g.Close()
	c, there := pair(t, g)
	said := make(chan struct{})
	first := task(t, g, func(task *Task) {
		task.Outside(func() {
			if task.Inside() {
				t.Error("inside, outside")
			}
			<-said
			task.Outside(func() {}) // it is there already
			// Connections wait for themselves there.
			bound(t, task, c)
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
		})
		if !task.Inside() {
			t.Error("it has not come back")
		}
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
	})
	second := task(t, g, func(*Task) { close(said) })
	second()
	_, err = there.Write([]byte("xy"))
	must(t, err)
	first()
}

// TestLeave has a task read from a connection while another goroutine writes to
// it, until it returns.
func TestLeave(t *testing.T) {
	g := group(t, 1)
	c, there := pair(t, g)
	const size = 4 << 20 // more than fits into the kernel's buffers
	wait := task(t, g, func(task *Task) {
		bound(t, task, c)
		task.Return() // it is there
		task.Leave()
		task.Leave()
		var wrote sync.WaitGroup
		wrote.Go(func() {
			if _, err := c.Write(make([]byte, size)); err != nil {
				t.Error(err)
			}
		})
		if _, err := c.Read(make([]byte, 1)); err != nil || task.Inside() {
			t.Error(err, task.Inside())
		}
		wrote.Wait()
		if task.Return(); !task.Inside() {
			t.Error("it has not returned")
		}
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
	})
	if _, err := io.CopyN(io.Discard, there, size/2); err != nil {
		t.Fatal(err)
	}
	_, err := there.Write([]byte("x"))
	must(t, err)
	_, err = io.CopyN(io.Discard, there, size/2)
	must(t, err)
	_, err = there.Write([]byte("y"))
	must(t, err)
	wait()
}

// TestStuckTaskIsLeft has a task that blocks its loop: others go on, and it
// does as well once it can.
func TestStuckTaskIsLeft(t *testing.T) {
	g := group(t, 1)
	a, client := pair(t, g)
	b, other := pair(t, g)
	said := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Add(1)
		g.Go(func(*Task) {
			defer wg.Done()
			<-said // stuck
		})
	}
	stuck := task(t, g, func(task *Task) {
		bound(t, task, a)
		<-said // stuck as well
		// And then it is as good as any other.
		if _, err := a.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
		task.Outside(func() {})
		if _, err := a.Write([]byte("z")); err != nil {
			t.Error(err)
		}
	})
	free := task(t, g, func(task *Task) {
		bound(t, task, b)
		if _, err := b.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
		close(said)
	})
	_, err := other.Write([]byte("x"))
	must(t, err)
	free()
	_, err = client.Write([]byte("y"))
	must(t, err)
	_, err = io.ReadFull(client, make([]byte, 1))
	must(t, err)
	stuck()
	wg.Wait()
}

// TestFairness has a task that could go on for ever: one that comes later has
// its turn all the same. The watchdog does not help.
func TestFairness(t *testing.T) {
	g, err := newGroup(Options{Loops: 1}, time.Hour)
	must(t, err)
	defer g.Close()
	var ended atomic.Bool
	a, source := pair(t, g)
	stop := make(chan struct{})
	var flow sync.WaitGroup
	flow.Go(func() {
		b := make([]byte, 1<<20)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := source.Write(b); err != nil {
				return
			}
		}
	})
	busy := task(t, g, func(task *Task) {
		bound(t, task, a)
		b := make([]byte, 512)
		for !ended.Load() {
			if _, err := a.Read(b); err != nil {
				t.Error(err)
				return
			}
		}
	})
	task(t, g, func(*Task) { ended.Store(true) })()
	busy()
	close(stop)
	a.Close()
	flow.Wait()
}

// TestEndedGoroutine has a task end its goroutine: the loop goes on.
func TestEndedGoroutine(t *testing.T) {
	g := group(t, 1)
	for _, end := range []func(*Task){
		func(*Task) { runtime.Goexit() },
		func(task *Task) { task.Outside(runtime.Goexit) },
	} {
		task(t, g, end)()
		task(t, g, func(*Task) {})()
	}
}

// TestPanicIsTold runs itself with a task that panics: the program ends and
// tells where that was.
func TestPanicIsTold(t *testing.T) {
	if os.Getenv("EVLOOP_PANIC") != "" {
		g := group(t, 1)
		g.Go(func(*Task) { thisPanics() })
		g.Close()
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPanicIsTold$")
	cmd.Env = append(os.Environ(), "EVLOOP_PANIC=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "out of cheese") || !strings.Contains(string(out), "thisPanics") {
		t.Errorf("%v\n%s", err, out)
	}
}

func thisPanics() { panic("out of cheese") }

func TestManyTasks(t *testing.T) {
	g := group(t, 3)
	const n, rounds = 200, 50
	var ends []func()
	for range n {
		c, there := pair(t, g)
		ends = append(ends, task(t, g, func(task *Task) {
			bound(t, task, c)
			b := make([]byte, 1)
			for range rounds {
				if _, err := io.ReadFull(c, b); err != nil {
					t.Error(err)
					return
				}
				if _, err := c.Write(b); err != nil {
					t.Error(err)
					return
				}
			}
		}))
		var talk sync.WaitGroup
		talk.Go(func() {
			b := make([]byte, 1)
			for range rounds {
				if _, err := there.Write(b); err != nil {
					t.Error(err)
				}
				if _, err := io.ReadFull(there, b); err != nil {
					t.Error(err)
				}
			}
		})
		ends = append(ends, talk.Wait)
	}
	for _, wait := range ends {
		wait()
	}
}

// TestRebinding hands a connection from task to task, on different loops.
func TestRebinding(t *testing.T) {
	g := group(t, 3)
	c, there := pair(t, g)
	for i := range 30 {
		end := task(t, g, func(task *Task) {
			bound(t, task, c)
			b := make([]byte, 1)
			if _, err := io.ReadFull(c, b); err != nil || b[0] != byte(i) {
				t.Errorf("%v, %v", b, err)
			}
			bound(t, nil, c)
		})
		_, err := there.Write([]byte{byte(i)})
		must(t, err)
		end()
	}
}

func certificate(t testing.TB) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"here"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestTLS has TLS on a connection of a task, with a handshake outside.
func TestTLS(t *testing.T) {
	g := group(t, 1)
	c, there := pair(t, g)
	cfg := &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
	client := tls.Client(there, &tls.Config{InsecureSkipVerify: true})
	end := task(t, g, func(task *Task) {
		bound(t, task, c)
		server := tls.Server(net.Conn(c), cfg)
		var err error
		task.Outside(func() { err = server.HandshakeContext(context.Background()) })
		if err != nil {
			t.Error(err)
			return
		}
		b := make([]byte, 100<<10)
		for range 3 {
			if _, err := io.ReadFull(server, b); err != nil {
				t.Error(err)
			}
			if _, err := server.Write(b); err != nil {
				t.Error(err)
			}
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	b := make([]byte, 100<<10)
	for range 3 {
		_, err := client.Write(b)
		must(t, err)
		_, err = io.ReadFull(client, b)
		must(t, err)
	}
	end()
}

// BenchmarkRoundTrip is a byte through a task and back.
func BenchmarkRoundTrip(b *testing.B) {
	g := group(b, 1)
	c, there := pair(b, g)
	end := task(b, g, func(task *Task) {
		bound(b, task, c)
		buf := make([]byte, 512)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
	})
	buf := make([]byte, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := there.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(there, buf); err != nil {
			b.Fatal(err)
		}
	}
	there.Close()
	end()
}

// TestCoroutinesAreUsedAgain is that tasks one after the other run on the same
// goroutine, and that one that was ended is not used any more.
func TestCoroutinesAreUsedAgain(t *testing.T) {
	g := group(t, 1)
	task(t, g, func(*Task) { runtime.Goexit() })()
	before := 0
	for n := range 1000 {
		ran := false
		task(t, g, func(task *Task) {
			task.Yield()
			task.Outside(func() { ran = true })
		})()
		if !ran {
			t.Fatal("a task did not run to its end")
		}
		if n == 10 {
			before = runtime.NumGoroutine()
		}
	}
	if after := runtime.NumGoroutine(); after > before+10 {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}

// TestBurstOfTasks is that what a burst leaves behind is bounded.
func TestBurstOfTasks(t *testing.T) {
	g := group(t, 2)
	var waits []func()
	release := make(chan struct{})
	for range 3 * spareMost {
		waits = append(waits, task(t, g, func(task *Task) { task.Outside(func() { <-release }) }))
	}
	close(release)
	for _, wait := range waits {
		wait()
	}
	until := time.Now().Add(patience)
	for runtime.NumGoroutine() > 2*spareMost && time.Now().Before(until) {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > 2*spareMost {
		t.Errorf("%d goroutines are left", n)
	}
}

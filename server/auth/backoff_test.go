package auth

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// clocked is a backoff whose time the test moves on.
func clocked() (b *backoff, pass func(time.Duration)) {
	now := time.Unix(1_700_000_000, 0)
	b = newBackoff()
	b.now = func() time.Time { return now }
	return b, func(d time.Duration) { now = now.Add(d) }
}

func fail(b *backoff, times int, username, address string) {
	for range times {
		b.failed(username, address)
	}
}

func TestBackoffOfOneUser(t *testing.T) {
	b, pass := clocked()
	fail(b, freeFailures, "ann", "10.0.0.1")
	if wait := b.wait("ann", "10.0.0.1"); wait != 0 {
		t.Errorf("a few failures cost %s", wait)
	}
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		b.failed("ann", "10.0.0.1")
		if wait := b.wait("ann", "10.0.0.1"); wait != want*time.Second {
			t.Errorf("the wait is %s, want %ds", wait, want)
		}
		for _, other := range [][2]string{{"ann", "10.0.0.2"}, {"ben", "10.0.0.1"}, {"", "10.0.0.1"}, {"Ann", "10.0.0.1"}} {
			if wait := b.wait(other[0], other[1]); wait != 0 {
				t.Errorf("%v waits %s too", other, wait)
			}
		}
		pass(want * time.Second)
		if wait := b.wait("ann", "10.0.0.1"); wait > 0 {
			t.Errorf("after the wait there is another of %s", wait)
		}
	}
	b.succeeded("ann", "10.0.0.1")
	fail(b, freeFailures, "ann", "10.0.0.1")
	if wait := b.wait("ann", "10.0.0.1"); wait > 0 {
		t.Errorf("a success is not remembered: the wait is %s", wait)
	}
}

func TestBackoffOfOneAddress(t *testing.T) {
	b, pass := clocked()
	for n := range freeFromAddress + 3 {
		b.failed(fmt.Sprint("user ", n), "10.0.0.1")
	}
	if wait := b.wait("anybody", "10.0.0.1"); wait != 4*time.Second {
		t.Errorf("the wait is %s", wait)
	}
	if wait := b.wait("user 1", "10.0.0.2"); wait != 0 {
		t.Errorf("from elsewhere the wait is %s", wait)
	}
	pass(forgetAfter + time.Second)
	b.failed("anybody", "10.0.0.1")
	if wait := b.wait("anybody", "10.0.0.1"); wait > 0 {
		t.Errorf("nothing was forgotten: the wait is %s", wait)
	}
}

// Five logins without a name must not count as fifty of the address.
func TestBackoffWithoutAName(t *testing.T) {
	b, _ := clocked()
	fail(b, freeFailures+3, "", "10.0.0.1")
	if wait := b.wait("ann", "10.0.0.1"); wait != 0 {
		t.Errorf("others wait %s", wait)
	}
	if b.wait("", "10.0.0.1") == 0 {
		t.Error("a login without a name is free")
	}
}

func TestBackoffOfNetworks(t *testing.T) {
	for _, c := range []struct {
		address, other string
		same           bool
	}{
		{"2001:db8::1", "2001:db8::ffff:1", true}, {"2001:db8::1", "2001:db8:0:1::1", false}, {"fe80::1%eth0", "fe80::2%eth0", true},
		{"10.0.0.1", "10.0.0.2", false}, {"::ffff:10.0.0.1", "::ffff:10.0.0.2", false}, {"strange", "strange", true},
	} {
		b, _ := clocked()
		fail(b, freeFailures+1, "ann", c.address)
		if got := b.wait("ann", c.other) > 0; got != c.same {
			t.Errorf("after failures from %s, waiting at %s is %v", c.address, c.other, got)
		}
	}
}

// What guessers send must not fill the memory.
func TestBackoffIsBounded(t *testing.T) {
	b, pass := clocked()
	fail(b, freeFailures+1, "old", "10.9.9.9")
	pass(forgetAfter + time.Second)
	fail(b, freeFailures+1, "ann", "10.9.9.9")
	for n := range backoffMax {
		b.failed(strings.Repeat("long", 10_000), fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255))
		if len(b.entries) > backoffMax {
			t.Fatalf("there are %d entries", len(b.entries))
		}
	}
	for key := range b.entries {
		if len(key.username) > maxUsername+1 {
			t.Fatalf("a name of %d bytes is kept", len(key.username))
		}
		if key.username == "old" {
			t.Error("what is old is kept")
		}
	}
}

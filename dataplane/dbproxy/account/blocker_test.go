package account

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestBlocker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBlocker(3)
		bad, good := addr(t, "192.0.2.1"), addr(t, "192.0.2.2")
		for i := range 3 {
			if b.Blocked(bad) {
				t.Fatalf("refused after %d failures", i)
			}
			b.Failed(bad)
		}
		if !b.Blocked(bad) || !b.Blocked(addr(t, "::ffff:192.0.2.1")) || b.Blocked(good) {
			t.Error("the wrong hosts are refused")
		}
		<-time.After(BlockTime - time.Second)
		if !b.Blocked(bad) {
			t.Error("let in again too early")
		}
		<-time.After(time.Second)
		if b.Blocked(bad) {
			t.Error("refused for too long")
		}
		b.Failed(bad)
		if b.Blocked(bad) {
			t.Error("old failures still count")
		}
		<-time.After(50 * time.Second)
		b.Failed(bad)
		<-time.After(50 * time.Second) // into the next generation
		b.Failed(bad)
		if !b.Blocked(bad) {
			t.Error("failures of the generation before are forgotten")
		}
		b.SetMax(0)
		if b.Blocked(bad) {
			t.Error("refused when switched off")
		}
	})
}

func TestBlockerHosts(t *testing.T) {
	b := NewBlocker(1)
	b.Failed(addr(t, "2001:db8::1"))
	if !b.Blocked(addr(t, "2001:db8::ffff:1")) || b.Blocked(addr(t, "2001:db8:0:1::1")) {
		t.Error("IPv6 hosts are not told apart by their network")
	}
	b.Failed(netip.Addr{})
	if b.Blocked(netip.Addr{}) {
		t.Error("a Unix socket is refused")
	}
	off := NewBlocker(0)
	off.Failed(addr(t, "192.0.2.1"))
	if off.Blocked(addr(t, "192.0.2.1")) || off.Hosts() != 0 {
		t.Error("switched off it still counts")
	}
	for i := range uint32(5 * maxHosts) {
		var raw [4]byte
		binary.BigEndian.PutUint32(raw[:], 10<<24+i)
		b.Failed(netip.AddrFrom4(raw))
	}
	if b.Hosts() > 2*maxHosts {
		t.Errorf("%d hosts are remembered", b.Hosts())
	}
}

package cache

import (
	"encoding/binary"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// recorder keeps a copy of an answer on its way to the client.
type recorder struct {
	to      dbproxy.Answer
	limits  limits
	result  result
	rows    int64
	useless bool
}

// Packet implements dbproxy.Answer. Who comes next may change the payload.
func (r *recorder) Packet(kind wire.Kind, payload []byte, reply *wire.Reply) error {
	r.take(kind, payload, reply)
	if r.to == nil {
		return nil
	}
	return r.to.Packet(kind, payload, reply)
}

func (r *recorder) take(kind wire.Kind, payload []byte, reply *wire.Reply) {
	if r.useless || kind == wire.KindProgress {
		return
	}
	switch kind {
	case wire.KindRow:
		r.rows++
	case wire.KindOK, wire.KindEOF:
		r.result.ends = append(r.result.ends, len(r.result.packets))
	case wire.KindColumnCount, wire.KindColumn:
	default:
		r.drop()
		return
	}
	r.result.size += int64(len(payload)) + packetOverhead
	if r.limits.rows > 0 && r.rows > r.limits.rows || r.result.size > r.limits.size {
		r.drop()
		return
	}
	r.result.packets = append(r.result.packets, append(make([]byte, 0, len(payload)), payload...))
	if reply.Done() {
		changes, lost := reply.SessionState()
		if reply.Failed() || reply.ResultSets() != 1 || len(changes) > 0 || lost {
			r.drop()
		}
	}
}

// About what a packet, and a result, take besides their bytes.
const (
	packetOverhead = 32
	overhead       = 512
)

func (r *recorder) drop() {
	r.useless = true
	r.result = result{}
}

// sessionStatus are the flags that tell of the session rather than the result.
const sessionStatus = wire.StatusInTransaction | wire.StatusAutocommit | wire.StatusReadOnlyTransaction | wire.StatusNoBackslashEscapes

// replay gives a result that was kept as the answer to a request, with the
// session's own status. Each packet is copied, as it may be changed on its way.
func (h *handler) replay(r *dbproxy.Request, to dbproxy.Answer, kept *result) error {
	if to == nil {
		return nil
	}
	var reply wire.Reply
	reply.Start(r.Command, h.session.Capabilities())
	end := 0
	for i, p := range kept.packets {
		h.scratch = append(h.scratch[:0], p...)
		if end < len(kept.ends) && kept.ends[end] == i {
			end++
			setStatus(h.scratch, h.session.Status())
		}
		kind, err := reply.Feed(h.scratch, len(h.scratch))
		if err != nil {
			return err
		}
		if err := to.Packet(kind, h.scratch, &reply); err != nil {
			return err
		}
	}
	if cap(h.scratch) > maxScratch {
		h.scratch = nil
	}
	return nil
}

// maxScratch is how long a buffer may be that a session keeps.
const maxScratch = 64 << 10

// setStatus puts a session's status into an EOF packet, or an OK packet in
// place of one.
func setStatus(p []byte, now wire.Status) {
	at := 3 // behind the header and the warnings
	if len(p) != 5 {
		at = 1
		for range 2 { // affected rows and insert id
			_, n := wire.Lenenc(p[min(at, len(p)):])
			at += n
		}
	}
	if len(p) < at+2 {
		return
	}
	old := wire.Status(binary.LittleEndian.Uint16(p[at:]))
	binary.LittleEndian.PutUint16(p[at:], uint16(old&^sessionStatus|now&sessionStatus))
}

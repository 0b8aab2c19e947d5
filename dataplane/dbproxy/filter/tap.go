package filter

import (
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// tap is an Answer that notes what passes.
type tap struct {
	to    dbproxy.Answer // nil for nobody
	now   func() time.Time
	begun time.Time
	first time.Time // when the first packet came; zero if none did

	rows, size uint64
	warnings   uint16
	message    string // of an error
}

// begin starts anew.
func (t *tap) begin(to dbproxy.Answer, now func() time.Time) {
	*t = tap{to: to, now: now, begun: now()}
}

// Packet implements dbproxy.Answer.
func (t *tap) Packet(kind wire.Kind, payload []byte, reply *wire.Reply) error {
	if t.first.IsZero() {
		t.first = t.now()
	}
	if reply.Done() {
		t.rows, t.size, t.warnings = reply.Rows(), reply.Size(), reply.Warnings()
		if reply.Failed() {
			t.message = string(reply.ErrorMessage())
		}
	}
	if t.to == nil {
		return nil
	}
	return t.to.Packet(kind, payload, reply)
}

// maxPreparedText is how much is kept of the text of a prepared statement, to
// name its executions by.
const maxPreparedText = 16 << 10

func preparedText(text []byte) string { return string(text[:min(len(text), maxPreparedText)]) }

package rwsplit

import (
	"bytes"
	"slices"

	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// history is what has changed a session, so that new connections can be made
// like the others.
type history struct {
	entries []entry
	last    uint64 // position of the newest one that there ever was
	counted int    // entries that the limit is about
	limit   int    // max_sescmd_history
	prune   bool   // prune_sescmd_history
	// off: disable_sescmd_history, or there were too many. lost: something
	// was not kept, so that no new connection can be made like the others.
	off, lost bool
	pruned    bool // the oldest ones were forgotten
	once      bool // some entries are for the next transaction only
}

// entry is a command that has changed the session.
type entry struct {
	position uint64
	packet   []byte
	// prepares is the statement that the command prepares in binary,
	// executes the one that it executes.
	prepares, executes *statement
	name               string // of the statement that it prepares or executes as text
	text               bool   // it prepares as text
	once               bool   // it is for the next transaction
	// reads: what it does depends on the commands before it.
	reads bool
}

// complete tells whether a new connection can be made like the others.
func (h *history) complete() bool { return !h.lost }

// add remembers a command, which now is the last one that all connections have
// had.
func (h *history) add(e entry) {
	h.last++
	e.position = h.last
	if e.prepares == nil {
		if h.off {
			h.lost = true
			return
		}
		h.forgetSame(&e)
		h.counted++
	}
	h.once = h.once || e.once
	h.entries = append(h.entries, e)
	h.shorten()
}

// shorten keeps the limit.
func (h *history) shorten() {
	if h.counted <= h.limit {
		return
	}
	if !h.prune || h.limit == 0 {
		h.off, h.lost, h.counted = true, true, 0
		h.entries = slices.DeleteFunc(h.entries, func(e entry) bool { return e.prepares == nil })
		return
	}
	h.pruned = true
	for i := range h.entries {
		if h.entries[i].prepares == nil {
			h.entries = slices.Delete(h.entries, i, i+1)
			h.counted--
			return
		}
	}
}

// forgetSame removes an earlier command that is repeated, unless commands in
// between may depend on it.
func (h *history) forgetSame(e *entry) {
	if e.reads || e.prepares != nil || e.text {
		return
	}
	for i, old := range slices.Backward(h.entries) {
		if old.prepares != nil || old.text || old.reads {
			return
		}
		if old.executes == e.executes && bytes.Equal(old.packet, e.packet) {
			h.entries = slices.Delete(h.entries, i, i+1)
			h.counted--
			return
		}
	}
}

// deallocate forgets a statement that was prepared as text. It tells whether
// nothing is left of it, so that its end need not be remembered.
func (h *history) deallocate(name string) bool {
	for i := range h.entries {
		if e := &h.entries[i]; e.name == name && !e.text {
			return false
		}
	}
	before := len(h.entries)
	h.entries = slices.DeleteFunc(h.entries, func(e entry) bool { return e.name == name })
	h.counted -= before - len(h.entries)
	return !h.off && before != len(h.entries)
}

// closed forgets a statement that was prepared in binary, unless it has
// changed the session.
func (h *history) closed(st *statement) {
	for i := range h.entries {
		if h.entries[i].executes == st {
			st.closed = true
			return
		}
	}
	h.entries = slices.DeleteFunc(h.entries, func(e entry) bool { return e.prepares == st })
}

// began forgets what was for the next transaction only.
func (h *history) began() {
	h.once = false
	before := len(h.entries)
	h.entries = slices.DeleteFunc(h.entries, func(e entry) bool { return e.once })
	h.counted -= before - len(h.entries)
}

// clear forgets all, as the servers do.
func (h *history) clear(off bool) {
	*h = history{entries: h.entries[:0], last: h.last, limit: h.limit, prune: h.prune, off: off}
	clear(h.entries[:cap(h.entries)])
}

// newEntry is the entry of a command that changes the session.
func newEntry(k *call) entry {
	c := k.class
	const reads = sqlclass.TypeUserVarRead | sqlclass.TypeSysVarRead | sqlclass.TypeGSysVarRead
	e := entry{
		packet: bytes.Clone(k.packet), executes: k.stmt,
		once:  c.Is(sqlclass.TypeNextTrx),
		reads: c.Is(reads) || c.Has(sqlclass.FlagVarying|sqlclass.FlagSubquery|sqlclass.FlagPrevious) || c.Op == sqlclass.OpSelect,
	}
	if k.name != "" {
		e.name, e.text = k.name, c.Op == sqlclass.OpPrepare
		e.reads = true
	}
	return e
}

// worthKeeping tells whether a new connection must run the command, too.
func worthKeeping(k *call) bool {
	switch k.r.Command {
	case wire.ComInitDB, wire.ComSetOption:
		return true
	case wire.ComQuery, wire.ComStmtExecute:
	default:
		return false
	}
	c := k.class
	const own = sqlclass.TypeSysVarWrite | sqlclass.TypeUserVarWrite
	switch {
	case c.Op == sqlclass.OpSelect && c.Has(sqlclass.FlagSelectIntoFile):
		return false // the file is there
	case c.Is(sqlclass.TypeGSysVarWrite) && !c.Is(own) && !c.Is(sqlclass.TypeNextTrx):
		return false // the server knows it, not the session
	}
	return true
}

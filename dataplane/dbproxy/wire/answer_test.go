package wire

import "math/rand/v2"

// answer makes valid answers of a server, at random.
type answer struct {
	rng     *rand.Rand
	caps    Capability
	cmd     Command
	packets [][]byte
	client  map[int]bool // the client's turn comes after these packets
	rows    uint64
	results uint64
	failed  bool
	big     int // rows of up to so many bytes
}

var answerCommands = []Command{
	ComQuery, ComQuery, ComQuery, ComStmtExecute, ComStmtExecute, ComStmtBulkExecute, ComStmtPrepare, ComStmtPrepare, ComStmtFetch,
	ComFieldList, ComStatistics, ComPing, ComInitDB, ComSetOption, ComChangeUser, ComProcessInfo, ComResetConnection,
	ComQuit, ComStmtClose, ComStmtSendLongData, ComBinlogDump, ComDebug, ComStmtReset,
}

// newAnswer makes an answer to a random command under random capabilities.
func newAnswer(rng *rand.Rand, big int) *answer {
	a := &answer{rng: rng, big: big, client: map[int]bool{}, cmd: answerCommands[rng.IntN(len(answerCommands))]}
	for _, c := range []Capability{CapDeprecateEOF, CapSessionTrack, CapCacheMetadata, CapExtendedMetadata} {
		if a.coin() {
			a.caps |= c
		}
	}
	a.caps |= CapProtocol41 | CapLocalFiles
	a.make()
	return a
}

func (a *answer) coin() bool { return a.rng.IntN(2) == 0 }

func (a *answer) add(p []byte) { a.packets = append(a.packets, p) }

func (a *answer) make() {
	switch a.cmd {
	case ComQuit, ComStmtClose, ComStmtSendLongData:
	case ComStatistics:
		a.add([]byte("Uptime: 5"))
	case ComQuery, ComStmtExecute, ComStmtBulkExecute, ComProcessInfo:
		for more := true; more && !a.failed; {
			more = a.rng.IntN(3) == 0
			a.result(more)
		}
	case ComStmtFetch:
		a.someRows(false)
		a.endRows(0)
	case ComStmtPrepare:
		a.prepare()
	case ComFieldList:
		a.definitions(a.rng.IntN(5))
		a.endRows(0)
	case ComBinlogDump:
		for range a.rng.IntN(10) {
			a.add(append([]byte{headOK}, a.bytes(40)...))
		}
		if a.coin() {
			a.fail()
		} else {
			a.add(AppendEOF(nil, 0, 0))
		}
	case ComChangeUser:
		a.login()
	default:
		switch a.rng.IntN(3) {
		case 0:
			a.fail()
		case 1:
			a.ok(0, false)
		case 2:
			a.endRows(0)
		}
	}
}

func (a *answer) result(more bool) {
	a.progress()
	var status Status
	if more {
		status = StatusMoreResults
	}
	switch k := a.rng.IntN(6); {
	case k == 0:
		a.fail()
		return
	case k == 1:
		a.ok(status, false)
		return
	case k == 2 && a.cmd == ComQuery:
		a.add(AppendLocalFile(nil, "/etc/hosts"))
		a.client[len(a.packets)-1] = true
		if a.coin() {
			a.fail()
		} else {
			a.ok(status, false)
		}
		return
	}
	a.results++
	n := ColumnCount{Columns: 1 + a.rng.IntN(4), Definitions: !a.caps.Has(CapCacheMetadata) || a.coin()}
	if a.rng.IntN(20) == 0 {
		n.Columns = 250 + a.rng.IntN(10) // around the end of one byte
	}
	a.add(n.Append(nil, a.caps))
	if n.Definitions {
		a.definitions(n.Columns)
	}
	if a.cmd == ComStmtExecute && a.rng.IntN(3) == 0 {
		a.endRows(status | StatusCursorExists)
		return
	}
	if !a.caps.Has(CapDeprecateEOF) {
		a.add(AppendEOF(nil, status, 0))
	}
	a.someRows(a.cmd != ComStmtExecute)
	a.progress()
	if a.rng.IntN(8) == 0 {
		a.fail()
		return
	}
	a.endRows(status)
}

func (a *answer) progress() {
	if a.rng.IntN(10) == 0 {
		a.add([]byte("\xff\xff\xff\x01\x01\x02\x50\xc3\x00\x04copy"))
	}
}

func (a *answer) definitions(n int) {
	for range n {
		c := Column{Name: a.bytes(30), Table: a.bytes(10), Charset: 45, Type: TypeVarString}
		a.add(c.Append(nil, a.caps))
	}
}

// someRows adds rows that begin with every byte a row may begin with.
func (a *answer) someRows(text bool) {
	for range a.rng.IntN(6) {
		var row []byte
		switch {
		case !text:
			row = append([]byte{0, 0}, a.bytes(20)...)
		case a.rng.IntN(8) == 0:
			row = []byte{headLocal} // NULL
		case a.rng.IntN(3) == 0:
			row = AppendString(nil, a.bytes(a.big))
		default:
			row = AppendString(nil, a.bytes(260))
		}
		a.rows++
		a.add(row)
	}
}

func (a *answer) bytes(most int) []byte {
	b := pattern(a.rng.IntN(most + 1))
	for i := range min(len(b), 50) { // the beginning is what counts
		b[i] = byte(a.rng.Uint32())
	}
	return b
}

func (a *answer) ok(status Status, asEOF bool) {
	o := OK{AffectedRows: a.rng.Uint64N(1 << 40), LastInsertID: a.rng.Uint64N(300), Status: status, Warnings: 1, Info: a.bytes(10)}
	if a.coin() {
		o.State = o.State.AppendChange(Change{StateSystemVariable, a.bytes(10), a.bytes(300)}).AppendChange(Change{StateSchema, nil, a.bytes(300)})
	}
	a.add(o.Append(nil, a.caps, asEOF))
}

// endRows ends rows or definitions.
func (a *answer) endRows(status Status) {
	if a.caps.Has(CapDeprecateEOF) {
		a.ok(status, true)
	} else {
		a.add(AppendEOF(nil, status, 0))
	}
}

func (a *answer) fail() {
	a.failed = true
	e := ServerError{Code: ErrCodeDeadlock, State: StateSerialization, Message: string(a.bytes(100))}
	a.add(e.Append(nil))
}

func (a *answer) prepare() {
	if a.rng.IntN(5) == 0 {
		a.fail()
		return
	}
	p := Prepared{ID: a.rng.Uint32(), Columns: uint16(a.rng.IntN(3)), Params: uint16(a.rng.IntN(3))}
	a.add(p.Append(nil))
	for _, n := range []uint16{p.Params, p.Columns} {
		a.definitions(int(n))
		if n > 0 && !a.caps.Has(CapDeprecateEOF) {
			a.add(AppendEOF(nil, 0, 0))
		}
	}
}

func (a *answer) login() {
	if a.coin() {
		a.add((&AuthSwitch{Plugin: PluginSHA2, Data: pattern(21)}).Append(nil))
		a.client[len(a.packets)-1] = true
	}
	switch a.rng.IntN(3) {
	case 0:
		a.add(AppendAuthMore(nil, []byte{SHA2FastOK}))
	case 1:
		a.add(AppendAuthMore(nil, []byte{SHA2Full}))
		a.client[len(a.packets)-1] = true
	}
	if a.coin() {
		a.fail()
		return
	}
	a.ok(0, false)
}

package wire

// Kind is what a packet of an answer is.
type Kind uint8

// The kinds.
const (
	KindNone        Kind = iota
	KindOK               // OK, also where it ends a result set
	KindError            // ERR
	KindProgress         // progress report
	KindEOF              // EOF, at the end of definitions or rows
	KindColumnCount      // begins a result set
	KindColumn           // definition of a column
	KindParam            // definition of a parameter
	KindRow              // row of a result set
	KindPrepared         // begins the answer to COM_STMT_PREPARE
	KindLocalFile        // asks for a file: the client goes on
	KindAuthSwitch       // asks for another login plugin: the client goes on
	KindAuthMore         // data of a login plugin: the client goes on, mostly
	KindText             // the answer to COM_STATISTICS
	KindEvent            // event of a binary log
)

const (
	// MinHead is how much of a packet Reply must be shown, if it has so much.
	MinHead = 64

	// maxSessionState bounds the changes of the session that one answer may
	// make Reply keep.
	maxSessionState = 64 << 10
	// keptSessionState bounds the memory kept for them from answer to answer.
	keptSessionState = 4 << 10
)

type replyState uint8

const (
	stateDone replyState = iota
	stateResult
	stateAfterFile // OK or ERR, once the file has been sent
	stateColumns
	stateColumnsEOF
	stateRows
	stateSimple
	statePrepared
	stateParams
	stateParamsEOF
	statePreparedColumns
	statePreparedEOF
	stateFields
	stateText
	stateBinlog
	stateAuth
	stateClientFile // the client's turn
	stateClientAuth
)

// Reply follows the packets with which a server answers a command and knows
// when the answer has ended. It keeps what a proxy wants to know of it, and is
// made to be used again for the next answer, so that it allocates nothing.
type Reply struct {
	command Command
	caps    Capability
	state   replyState
	left    int // definitions to come

	size, rows, results uint64
	columns             int
	prepared            Prepared

	// Of the last OK or EOF packet.
	status   Status
	warnings uint16
	affected uint64
	insertID uint64

	failed    bool
	code      uint16
	sqlState  [stateSize]byte
	hasState  bool
	message   []byte
	session   []byte
	stateLost bool
}

// Start begins the answer to a command on a connection with capabilities caps.
// A command without an answer is done at once.
func (r *Reply) Start(cmd Command, caps Capability) {
	session := r.session[:0]
	if cap(session) > keptSessionState {
		session = nil
	}
	*r = Reply{command: cmd, caps: caps, state: firstState(cmd), message: r.message[:0], session: session}
}

func firstState(cmd Command) replyState {
	switch cmd {
	case ComQuit, ComStmtClose, ComStmtSendLongData:
		return stateDone
	case ComQuery, ComStmtExecute, ComStmtBulkExecute, ComProcessInfo:
		return stateResult
	case ComStmtFetch:
		return stateRows
	case ComStmtPrepare:
		return statePrepared
	case ComFieldList:
		return stateFields
	case ComStatistics:
		return stateText
	case ComBinlogDump, ComBinlogDumpGTID, ComTableDump:
		return stateBinlog
	case ComChangeUser:
		return stateAuth
	}
	return stateSimple
}

// Done tells whether the answer has ended.
func (r *Reply) Done() bool { return r.state == stateDone }

// AwaitsClient tells whether the server waits for the client: for a file,
// which ends with an empty packet, or for a packet of a login plugin. Once the
// client has sent that, ClientSent is called.
func (r *Reply) AwaitsClient() bool { return r.state == stateClientFile || r.state == stateClientAuth }

// AwaitsFile tells whether the server waits for a file.
func (r *Reply) AwaitsFile() bool { return r.state == stateClientFile }

// ClientSent goes on after the client's turn.
func (r *Reply) ClientSent() {
	switch r.state {
	case stateClientFile:
		r.state = stateAfterFile
	case stateClientAuth:
		r.state = stateAuth
	}
}

// Feed takes the next packet: its first bytes, MinHead of them at least or all
// there are, and its length as Conn.Peek tells it. An error means that the
// packet cannot come here: the connection is of no use any more.
func (r *Reply) Feed(head []byte, size int) (Kind, error) {
	if len(head) < min(size, MinHead) {
		return KindNone, ErrMalformed
	}
	r.size += uint64(size)
	switch r.state {
	case stateDone, stateClientFile, stateClientAuth:
		return KindNone, ErrUnexpected
	case stateText:
		if !isError(head) {
			r.state = stateDone
			return KindText, nil
		}
	}
	if size == 0 {
		return KindNone, ErrMalformed
	}
	if r.state == stateRows && head[0] < headEOF {
		r.rows++
		return KindRow, nil
	}
	if head[0] == headError {
		return r.error(head, size)
	}
	return r.step(head, size)
}

func (r *Reply) step(head []byte, size int) (Kind, error) {
	switch r.state {
	case stateResult:
		return r.result(head, size)
	case stateAfterFile, stateSimple:
		if head[0] == headOK || head[0] == headEOF {
			return r.end(head, size)
		}
	case stateColumns, statePreparedColumns, stateParams:
		return r.definition(head)
	case stateColumnsEOF, statePreparedEOF, stateParamsEOF:
		return r.definitionsEnd(head, size)
	case stateRows, stateFields, stateBinlog:
		return r.row(head, size)
	case statePrepared:
		return r.prepare(head)
	case stateAuth:
		return r.auth(head, size)
	}
	return KindNone, ErrMalformed
}

// result is the first packet of a result.
func (r *Reply) result(head []byte, size int) (Kind, error) {
	switch head[0] {
	case headOK, headEOF:
		return r.end(head, size)
	case headLocal:
		// A server must not ask for files of clients that did not offer any.
		if r.command != ComQuery || !r.caps.Has(CapLocalFiles) {
			return KindNone, ErrUnexpected
		}
		r.state = stateClientFile
		return KindLocalFile, nil
	}
	n, err := ParseColumnCount(head, r.caps)
	if err != nil {
		return KindNone, err
	}
	r.results++
	r.columns, r.left = n.Columns, n.Columns
	r.state = stateColumns
	if !n.Definitions {
		r.left = 0
		r.defined()
	}
	return KindColumnCount, nil
}

// minDefinition is the length of a definition whose strings are all empty.
const minDefinition = 7 + columnFixedSize

func (r *Reply) definition(head []byte) (Kind, error) {
	if len(head) < minDefinition || head[0] == headEOF {
		return KindNone, ErrMalformed
	}
	kind := KindColumn
	if r.state == stateParams {
		kind = KindParam
	}
	if r.left--; r.left == 0 {
		r.defined()
	}
	return kind, nil
}

// defined goes on after the last definition: with an EOF packet, or what comes
// after that.
func (r *Reply) defined() {
	withEOF := !r.caps.Has(CapDeprecateEOF)
	switch r.state {
	case stateColumns:
		r.state = stateRows
		if withEOF {
			r.state = stateColumnsEOF
		}
	case stateParams:
		r.state = stateParamsEOF
		if !withEOF {
			r.paramsDone()
		}
	case statePreparedColumns:
		r.state = stateDone
		if withEOF {
			r.state = statePreparedEOF
		}
	}
}

func (r *Reply) paramsDone() {
	r.state = stateDone
	if r.left = int(r.prepared.Columns); r.left > 0 {
		r.state = statePreparedColumns
	}
}

func (r *Reply) definitionsEnd(head []byte, size int) (Kind, error) {
	if head[0] != headEOF || size >= 9 {
		return KindNone, ErrMalformed
	}
	status, warnings, err := ParseEOF(head)
	if err != nil {
		return KindNone, err
	}
	switch r.state {
	case stateParamsEOF:
		r.paramsDone()
	case statePreparedEOF:
		r.state = stateDone
	default:
		r.status, r.warnings = status, warnings
		r.state = stateRows
		if r.command == ComStmtExecute && status.Has(StatusCursorExists) {
			r.finish() // rows come when they are fetched
		}
	}
	return KindEOF, nil
}

// row is a packet among many of which an EOF packet is the last.
func (r *Reply) row(head []byte, size int) (Kind, error) {
	if IsEOF(head, size, r.caps) {
		return r.end(head, size)
	}
	switch r.state {
	case stateFields:
		return KindColumn, nil
	case stateBinlog:
		return KindEvent, nil
	}
	r.rows++
	return KindRow, nil
}

func (r *Reply) prepare(head []byte) (Kind, error) {
	p, err := ParsePrepared(head)
	if err != nil {
		return KindNone, err
	}
	r.prepared, r.warnings = p, p.Warnings
	if r.left = int(p.Params); r.left > 0 {
		r.state = stateParams
	} else {
		r.paramsDone()
	}
	return KindPrepared, nil
}

// fastLogin is the data by which caching_sha2_password tells that it needs
// nothing more; the OK packet follows.
var fastLogin = [...]byte{headMoreData, SHA2FastOK}

func (r *Reply) auth(head []byte, size int) (Kind, error) {
	switch head[0] {
	case headOK:
		return r.end(head, size)
	case headEOF:
		r.state = stateClientAuth
		return KindAuthSwitch, nil
	case headMoreData:
		if size != len(fastLogin) || [2]byte(head) != fastLogin {
			r.state = stateClientAuth
		}
		return KindAuthMore, nil
	}
	return KindNone, ErrMalformed
}

// end is an OK packet, or an EOF packet at the end of rows.
func (r *Reply) end(head []byte, size int) (Kind, error) {
	if head[0] == headEOF && size < 7 {
		status, warnings, err := ParseEOF(head)
		if err != nil {
			return KindNone, err
		}
		r.status, r.warnings = status, warnings
		r.finish()
		return KindEOF, nil
	}
	c := NewCursor(head[1:])
	r.affected, r.insertID = c.Lenenc(), c.Lenenc()
	r.status, r.warnings = Status(c.Uint16()), c.Uint16()
	if err := c.Err(); err != nil {
		return KindNone, err
	}
	if r.caps.Has(CapSessionTrack) && r.status.Has(StatusSessionStateChanged) {
		if err := r.track(head, size); err != nil {
			return KindNone, err
		}
	}
	r.finish()
	return KindOK, nil
}

// track keeps the changes of the session that an OK packet tells.
func (r *Reply) track(head []byte, size int) error {
	if len(head) < size {
		r.stateLost = true
		return nil
	}
	ok, err := ParseOK(head, r.caps)
	if err != nil {
		return err
	}
	if len(r.session)+len(ok.State) > maxSessionState {
		r.stateLost = true
		return nil
	}
	r.session = append(r.session, ok.State...)
	return nil
}

// finish ends a result, and the answer unless another result is announced.
func (r *Reply) finish() {
	if r.status.Has(StatusMoreResults) && firstState(r.command) == stateResult {
		r.state = stateResult
		return
	}
	r.state = stateDone
}

func (r *Reply) error(head []byte, size int) (Kind, error) {
	code, state, message, err := parseError(head)
	if err != nil {
		return KindNone, err
	}
	if size >= MaxPayload {
		return KindNone, ErrMalformed
	}
	if code == progressReport {
		return KindProgress, nil
	}
	r.failed, r.code, r.hasState = true, code, state != nil
	copy(r.sqlState[:], state)
	r.message = append(r.message[:0], message[:min(len(message), maxMessage)]...)
	r.state = stateDone
	return KindError, nil
}

// maxMessage is far above what servers send (512 bytes).
const maxMessage = 1 << 10

func isError(head []byte) bool { return len(head) > 0 && head[0] == headError }

// wantsWhole tells whether a packet that begins with first holds more than
// Feed can do without. It is not asked of packets that fit a buffer.
func (r *Reply) wantsWhole(first byte, size int) bool {
	if !r.caps.Has(CapSessionTrack) || size >= MaxPayload {
		return false
	}
	switch r.state {
	case stateResult, stateAfterFile, stateSimple, stateAuth:
		return first == headOK || first == headEOF && r.state != stateAuth
	case stateRows, stateFields:
		return first == headEOF && r.caps.Has(CapDeprecateEOF)
	}
	return false
}

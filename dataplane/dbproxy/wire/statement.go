package wire

import "encoding/binary"

// Prepared is the packet that begins the answer to COM_STMT_PREPARE (Knowledge
// Base, "COM_STMT_PREPARE").
type Prepared struct {
	ID              uint32
	Columns, Params uint16
	Warnings        uint16
}

// Append adds the packet's payload to b.
func (s Prepared) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(append(b, headOK), s.ID)
	b = binary.LittleEndian.AppendUint16(b, s.Columns)
	b = binary.LittleEndian.AppendUint16(b, s.Params)
	return binary.LittleEndian.AppendUint16(append(b, 0), s.Warnings)
}

// ParsePrepared reads the packet.
func ParsePrepared(p []byte) (Prepared, error) {
	c := NewCursor(p)
	if c.Uint8() != headOK {
		return Prepared{}, ErrMalformed
	}
	s := Prepared{ID: c.Uint32(), Columns: c.Uint16(), Params: c.Uint16()}
	c.Take(1)
	s.Warnings = c.Uint16()
	return s, c.Err()
}

// LastPrepared stands, in commands to MariaDB, for the statement that was
// prepared last.
const LastPrepared = 1<<32 - 1

// Flags of COM_STMT_EXECUTE.
const (
	CursorNone     = 0
	CursorReadOnly = 1 // rows are sent on COM_STMT_FETCH
)

// Execute is how COM_STMT_EXECUTE begins (Knowledge Base, "COM_STMT_EXECUTE").
type Execute struct {
	ID         uint32
	Flags      byte
	Iterations uint32
}

// ParseExecute reads the beginning of the packet, command included.
func ParseExecute(p []byte) (Execute, error) {
	c := NewCursor(p)
	if Command(c.Uint8()) != ComStmtExecute {
		return Execute{}, ErrMalformed
	}
	e := Execute{ID: c.Uint32(), Flags: c.Uint8(), Iterations: c.Uint32()}
	return e, c.Err()
}

// Append adds the beginning of the packet, command included, to b.
func (e Execute) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(append(b, byte(ComStmtExecute)), e.ID)
	return binary.LittleEndian.AppendUint32(append(b, e.Flags), e.Iterations)
}

// BulkExecute is how COM_STMT_BULK_EXECUTE begins (Knowledge Base,
// "COM_STMT_BULK_EXECUTE").
type BulkExecute struct {
	ID    uint32
	Flags uint16
}

// ParseBulkExecute reads the beginning of the packet, command included.
func ParseBulkExecute(p []byte) (BulkExecute, error) {
	c := NewCursor(p)
	if Command(c.Uint8()) != ComStmtBulkExecute {
		return BulkExecute{}, ErrMalformed
	}
	e := BulkExecute{ID: c.Uint32(), Flags: c.Uint16()}
	return e, c.Err()
}

// StatementID returns the statement that a command is about: one of the
// COM_STMT_… commands but COM_STMT_PREPARE, of which p is the beginning.
func StatementID(p []byte) (uint32, error) {
	c := NewCursor(p)
	if !aboutStatement(Command(c.Uint8())) {
		return 0, ErrMalformed
	}
	id := c.Uint32()
	return id, c.Err()
}

// SetStatementID changes that in place.
func SetStatementID(p []byte, id uint32) error {
	if _, err := StatementID(p); err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(p[1:], id)
	return nil
}

func aboutStatement(c Command) bool {
	switch c {
	case ComStmtExecute, ComStmtBulkExecute, ComStmtSendLongData, ComStmtClose, ComStmtReset, ComStmtFetch:
		return true
	}
	return false
}

// Fetch is a COM_STMT_FETCH.
type Fetch struct{ ID, Rows uint32 }

// ParseFetch reads the packet, command included.
func ParseFetch(p []byte) (Fetch, error) {
	c := NewCursor(p)
	if Command(c.Uint8()) != ComStmtFetch {
		return Fetch{}, ErrMalformed
	}
	f := Fetch{ID: c.Uint32(), Rows: c.Uint32()}
	return f, c.Err()
}

// Append adds the packet, command included, to b.
func (f Fetch) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(append(b, byte(ComStmtFetch)), f.ID)
	return binary.LittleEndian.AppendUint32(b, f.Rows)
}

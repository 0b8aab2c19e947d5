package wire

// StateType is a kind of change in a session (Knowledge Base, "OK_Packet",
// section "Session State Info").
type StateType byte

// The kinds.
const (
	StateSystemVariable  StateType = 0 // Name and Value
	StateSchema          StateType = 1 // Value is the default database now
	StateChanged         StateType = 2 // Value is "1" when something else changed
	StateGTIDs           StateType = 3 // Value lists the GTIDs of the transaction; MariaDB has last_gtid among the variables
	StateCharacteristics StateType = 4 // Value is SQL that begins a transaction like the one under way
	StateTransaction     StateType = 5 // Value is eight letters that tell what the transaction under way has done
)

// Change is a change in a session. It refers to parts of the packet.
type Change struct {
	Type  StateType
	Name  []byte // of a variable
	Value []byte
}

// SessionState is the list of changes that an OK packet carries.
type SessionState []byte

// Changes reads the list.
func (s SessionState) Changes() Changes { return Changes{rest: s} }

// Changes is what is left of a list of changes.
type Changes struct{ rest, variables []byte }

// Next returns the next change. ok is false at the end, and at the first thing
// wrong, which err tells; kinds it does not know it passes over.
func (l *Changes) Next() (ch Change, ok bool, err error) {
	for len(l.variables) > 0 || len(l.rest) > 0 {
		ch = Change{Type: StateSystemVariable}
		in := NewCursor(l.variables)
		l.variables = nil
		outer := NewCursor(l.rest)
		if in.Len() == 0 {
			ch.Type = StateType(outer.Uint8())
			in = NewCursor(outer.Bytes())
		}
		known := ch.read(&in)
		if outer.Err() != nil || in.Err() != nil {
			*l = Changes{}
			return Change{}, false, ErrMalformed
		}
		l.rest = outer.Rest()
		if known && ch.Type == StateSystemVariable {
			l.variables = in.Rest() // one entry may hold several
		}
		if known {
			return ch, true, nil
		}
	}
	return Change{}, false, nil
}

func (ch *Change) read(in *Cursor) (known bool) {
	switch ch.Type {
	case StateSystemVariable:
		ch.Name, ch.Value = in.Bytes(), in.Bytes()
	case StateSchema, StateCharacteristics, StateTransaction, StateChanged:
		ch.Value = in.Bytes()
	case StateGTIDs:
		in.Take(1) // how they are written; there is but one way
		ch.Value = in.Bytes()
	default:
		return false
	}
	return true
}

// AppendChange adds a change to the list.
func (s SessionState) AppendChange(ch Change) SessionState {
	var data []byte
	switch ch.Type {
	case StateSystemVariable:
		data = AppendString(AppendString(nil, ch.Name), ch.Value)
	case StateGTIDs:
		data = AppendString([]byte{0}, ch.Value)
	default:
		data = AppendString(nil, ch.Value)
	}
	return AppendString(append(s, byte(ch.Type)), data)
}

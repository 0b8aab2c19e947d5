package wire

import (
	"encoding/binary"
)

// OK is an OK packet (Knowledge Base, "OK_Packet"). What it refers to is part
// of the packet.
type OK struct {
	AffectedRows uint64
	LastInsertID uint64
	Status       Status
	Warnings     uint16
	Info         []byte
	State        SessionState // what has changed in the session, with CapSessionTrack
}

// Append adds the packet's payload to b; as EOF stands for the end of a result
// set with CapDeprecateEOF.
func (o *OK) Append(b []byte, caps Capability, asEOF bool) []byte {
	status := o.Status &^ StatusSessionStateChanged
	if caps.Has(CapSessionTrack) && len(o.State) > 0 {
		status |= StatusSessionStateChanged
	}
	head := byte(headOK)
	if asEOF {
		head = headEOF
	}
	b = AppendLenenc(AppendLenenc(append(b, head), o.AffectedRows), o.LastInsertID)
	b = binary.LittleEndian.AppendUint16(b, uint16(status))
	b = binary.LittleEndian.AppendUint16(b, o.Warnings)
	if status.Has(StatusSessionStateChanged) {
		return AppendString(AppendString(b, o.Info), o.State)
	}
	if len(o.Info) > 0 {
		b = AppendString(b, o.Info)
	}
	return b
}

// ParseOK reads an OK packet, also one in place of an EOF packet.
func ParseOK(p []byte, caps Capability) (OK, error) {
	c := NewCursor(p)
	if head := c.Uint8(); head != headOK && head != headEOF {
		return OK{}, ErrMalformed
	}
	o := OK{AffectedRows: c.Lenenc(), LastInsertID: c.Lenenc(), Status: Status(c.Uint16()), Warnings: c.Uint16()}
	if err := c.Err(); err != nil || c.Len() == 0 {
		return o, err
	}
	if !caps.Has(CapSessionTrack) {
		// Servers give the text a length, the description of the protocol does not.
		text := c
		if o.Info = text.Bytes(); text.Err() != nil || text.Len() > 0 {
			o.Info = c.Rest()
		}
		return o, nil
	}
	o.Info = c.Bytes()
	if o.Status.Has(StatusSessionStateChanged) && c.Len() > 0 {
		o.State = c.Bytes()
	}
	return o, c.Err()
}

// AppendEOF adds the payload of an EOF packet (Knowledge Base, "EOF_Packet").
func AppendEOF(b []byte, status Status, warnings uint16) []byte {
	b = binary.LittleEndian.AppendUint16(append(b, headEOF), warnings)
	return binary.LittleEndian.AppendUint16(b, uint16(status))
}

// IsEOF tells whether a packet of a result set that begins so ends its rows or
// definitions; a value may begin with the same byte, but is longer.
func IsEOF(head []byte, size int, caps Capability) bool {
	if len(head) == 0 || head[0] != headEOF {
		return false
	}
	if caps.Has(CapDeprecateEOF) {
		return size < MaxPayload
	}
	return size < 9
}

// ParseEOF reads an EOF packet.
func ParseEOF(p []byte) (status Status, warnings uint16, err error) {
	c := NewCursor(p)
	if c.Uint8() != headEOF {
		return 0, 0, ErrMalformed
	}
	warnings = c.Uint16()
	return Status(c.Uint16()), warnings, c.Err()
}

// Append adds the payload of the ERR packet to b (Knowledge Base,
// "ERR_Packet").
func (e *ServerError) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(append(b, headError), e.Code)
	if len(e.State) == stateSize {
		b = append(append(b, '#'), e.State...)
	}
	return append(b, e.Message...)
}

const stateSize = 5

// ParseError reads an ERR packet: it returns a *ServerError, or ErrMalformed.
func ParseError(p []byte) error {
	code, state, message, err := parseError(p)
	if err != nil {
		return err
	}
	return &ServerError{Code: code, State: string(state), Message: string(message)}
}

func parseError(p []byte) (code uint16, state, message []byte, err error) {
	c := NewCursor(p)
	if c.Uint8() != headError {
		return 0, nil, nil, ErrMalformed
	}
	code = c.Uint16()
	if c.Len() > stateSize && c.b[0] == '#' {
		state = c.Take(1 + stateSize)[1:]
	}
	return code, state, c.Rest(), c.Err()
}

// Progress is how far a long statement has come, which MariaDB reports in the
// form of an error (Knowledge Base, "Progress Reporting").
type Progress struct {
	Stage, Stages byte
	Permille      uint32 // of the stage, in thousandths of a percent
	Info          []byte
}

// ParseProgress reads a report of progress.
func ParseProgress(p []byte) (Progress, error) {
	c := NewCursor(p)
	if c.Uint8() != headError || c.Uint16() != progressReport {
		return Progress{}, ErrMalformed
	}
	c.Take(1)
	r := Progress{Stage: c.Uint8(), Stages: c.Uint8()}
	if n := c.Take(3); n != nil {
		r.Permille = uint32(n[0]) | uint32(n[1])<<8 | uint32(n[2])<<16
	}
	r.Info = c.Bytes()
	return r, c.Err()
}

// AppendLocalFile adds the payload of the request for a client's file
// (Knowledge Base, "LOCAL INFILE Packet").
func AppendLocalFile(b []byte, name string) []byte { return append(append(b, headLocal), name...) }

// ParseLocalFile returns the name of the file, a part of p.
func ParseLocalFile(p []byte) ([]byte, error) {
	c := NewCursor(p)
	if c.Uint8() != headLocal {
		return nil, ErrMalformed
	}
	return c.Rest(), c.Err()
}

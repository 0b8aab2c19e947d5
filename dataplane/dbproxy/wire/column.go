package wire

import "encoding/binary"

// Type is the type of a column's values (Knowledge Base, "Result Set Packets",
// section "Field Types").
type Type byte

// The types.
const (
	TypeDecimal    Type = 0
	TypeTiny       Type = 1
	TypeShort      Type = 2
	TypeLong       Type = 3
	TypeFloat      Type = 4
	TypeDouble     Type = 5
	TypeNull       Type = 6
	TypeTimestamp  Type = 7
	TypeLonglong   Type = 8
	TypeInt24      Type = 9
	TypeDate       Type = 10
	TypeTime       Type = 11
	TypeDatetime   Type = 12
	TypeYear       Type = 13
	TypeNewDate    Type = 14
	TypeVarchar    Type = 15
	TypeBit        Type = 16
	TypeJSON       Type = 245
	TypeNewDecimal Type = 246
	TypeEnum       Type = 247
	TypeSet        Type = 248
	TypeTinyBlob   Type = 249
	TypeMediumBlob Type = 250
	TypeLongBlob   Type = 251
	TypeBlob       Type = 252
	TypeVarString  Type = 253
	TypeString     Type = 254
	TypeGeometry   Type = 255
)

// Column is the definition of a column or parameter (Knowledge Base, "Result
// Set Packets", section "Column Definition Packet"). It refers to parts of the
// packet.
type Column struct {
	Schema, Table, OrgTable, Name, OrgName []byte
	Extended                               []byte // with CapExtendedMetadata
	Charset                                uint16
	Length                                 uint32
	Type                                   Type
	Flags                                  uint16
	Decimals                               byte
}

const columnFixedSize = 12

// Append adds the packet's payload to b.
func (d *Column) Append(b []byte, caps Capability) []byte {
	b = AppendString(b, "def")
	for _, s := range [...][]byte{d.Schema, d.Table, d.OrgTable, d.Name, d.OrgName} {
		b = AppendString(b, s)
	}
	if caps.Has(CapExtendedMetadata) {
		b = AppendString(b, d.Extended)
	}
	b = append(b, columnFixedSize)
	b = binary.LittleEndian.AppendUint16(b, d.Charset)
	b = binary.LittleEndian.AppendUint32(b, d.Length)
	b = append(b, byte(d.Type))
	b = binary.LittleEndian.AppendUint16(b, d.Flags)
	return append(b, d.Decimals, 0, 0)
}

// ParseColumn reads a definition.
func ParseColumn(p []byte, caps Capability) (Column, error) {
	c := NewCursor(p)
	c.Bytes() // the catalogue, "def"
	d := Column{Schema: c.Bytes(), Table: c.Bytes(), OrgTable: c.Bytes(), Name: c.Bytes(), OrgName: c.Bytes()}
	if caps.Has(CapExtendedMetadata) {
		d.Extended = c.Bytes()
	}
	fixed := NewCursor(c.Bytes())
	d.Charset, d.Length, d.Type = fixed.Uint16(), fixed.Uint32(), Type(fixed.Uint8())
	d.Flags, d.Decimals = fixed.Uint16(), fixed.Uint8()
	if c.bad || fixed.bad {
		return Column{}, ErrMalformed
	}
	return d, nil
}

// ColumnCount is the packet that begins a result set.
type ColumnCount struct {
	Columns int
	// Definitions tells whether they follow; with CapCacheMetadata they may
	// be left away.
	Definitions bool
}

// maxColumns is what the packets of prepared statements can count to; tables
// have 4096 at most.
const maxColumns = 1<<16 - 1

// Append adds the packet's payload to b.
func (n ColumnCount) Append(b []byte, caps Capability) []byte {
	b = AppendLenenc(b, uint64(n.Columns))
	if caps.Has(CapCacheMetadata) {
		follow := byte(0)
		if n.Definitions {
			follow = 1
		}
		b = append(b, follow)
	}
	return b
}

// ParseColumnCount reads the packet.
func ParseColumnCount(p []byte, caps Capability) (ColumnCount, error) {
	c := NewCursor(p)
	columns := c.Lenenc()
	n := ColumnCount{Columns: int(min(columns, maxColumns+1)), Definitions: true}
	if caps.Has(CapCacheMetadata) {
		n.Definitions = c.Uint8() != 0
	}
	if c.Len() > 0 || columns == 0 || columns > maxColumns {
		return n, ErrMalformed
	}
	return n, c.Err()
}

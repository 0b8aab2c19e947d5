package masking

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

const keySize = 32

// maskable tells whether values of a type are text, of which all bytes may be
// others.
func maskable(t wire.Type) bool {
	switch t {
	case wire.TypeVarchar, wire.TypeVarString, wire.TypeString, wire.TypeEnum, wire.TypeSet, wire.TypeJSON,
		wire.TypeTinyBlob, wire.TypeMediumBlob, wire.TypeLongBlob, wire.TypeBlob:
		return true
	}
	return false
}

// mask changes a value in place.
func (r *rule) mask(value, key []byte) {
	switch {
	case r.obfuscate:
		obfuscate(value, key)
	case r.match == nil:
		r.cover(value)
	default:
		spans, err := r.match.Find(value)
		if err != nil { // what took too long to be looked at is hidden as a whole
			r.cover(value)
		}
		for _, s := range spans {
			r.cover(value[s.Start:s.End])
		}
	}
}

// cover puts the value of the rule over another one, or its fill as often as it
// takes.
func (r *rule) cover(value []byte) {
	if len(r.value) == len(value) {
		copy(value, r.value)
		return
	}
	for len(value) > 0 {
		value = value[copy(value, r.fill):]
	}
}

// obfuscate puts printable characters in place of a value, which depend on all
// of it: equal values stay equal. Without the key nobody can try values out.
func obfuscate(value, key []byte) {
	mac := hmac.New(sha256.New, key)
	mac.Write(value)
	seed := mac.Sum(nil)
	var block [sha256.Size + 8]byte
	copy(block[:], seed)
	for n := uint64(0); len(value) > 0; n++ {
		binary.BigEndian.PutUint64(block[sha256.Size:], n)
		stream := sha256.Sum256(block[:])
		for i := range min(len(stream), len(value)) {
			value[i] = '!' + stream[i]%('~'-'!'+1)
		}
		value = value[min(len(stream), len(value)):]
	}
}

// maskText masks a row of a text result in place. rules has one for each
// column, nil for those that are shown.
func maskText(row []byte, rules []*rule, key []byte) error {
	c := wire.NewCursor(row)
	for _, r := range rules {
		if value, null := c.Value(); r != nil && !null {
			r.mask(value, key)
		}
	}
	return end(&c)
}

// maskBinary masks a row of a binary result in place (Knowledge Base, "Result
// Set Packets", section "Binary Resultset Row").
func maskBinary(row []byte, rules []*rule, types []wire.Type, key []byte) error {
	c := wire.NewCursor(row)
	c.Take(1)
	nulls := c.Take((len(types) + 7 + 2) / 8)
	if c.Err() != nil {
		return c.Err()
	}
	for i, t := range types {
		if nulls[(i+2)/8]>>((i+2)%8)&1 != 0 {
			continue
		}
		if value := binaryValue(&c, t); rules[i] != nil {
			rules[i].mask(value, key)
		}
	}
	return end(&c)
}

// binaryValue takes a value off a binary row.
func binaryValue(c *wire.Cursor, t wire.Type) []byte {
	switch t {
	case wire.TypeNull:
		return nil
	case wire.TypeTiny:
		return c.Take(1)
	case wire.TypeShort, wire.TypeYear:
		return c.Take(2)
	case wire.TypeLong, wire.TypeInt24, wire.TypeFloat:
		return c.Take(4)
	case wire.TypeLonglong, wire.TypeDouble:
		return c.Take(8)
	case wire.TypeDate, wire.TypeNewDate, wire.TypeTime, wire.TypeTimestamp, wire.TypeDatetime:
		return c.Take(int(c.Uint8()))
	}
	return c.Bytes()
}

// end tells whether a row was read to its end.
func end(c *wire.Cursor) error {
	if c.Err() == nil && c.Len() > 0 {
		return wire.ErrMalformed
	}
	return c.Err()
}

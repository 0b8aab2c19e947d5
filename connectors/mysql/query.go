package mysql

import "encoding/binary"

// maxColumns and maxRows bound the results a test reads.
const (
	maxColumns = 16
	maxRows    = 16
)

// query runs one statement and returns its first row as text, NULL as "".
func (s *session) query(sql string) ([]string, error) {
	if err := s.command(comQuery, sql); err != nil {
		return nil, err
	}
	head, err := s.read()
	if err != nil {
		return nil, err
	}
	if head[0] == headOK {
		return nil, nil
	}
	columns, _, ok := lengthEncoded(head)
	if !ok || columns == 0 || columns > maxColumns {
		return nil, errMalformed
	}
	for range columns {
		if _, err := s.read(); err != nil {
			return nil, err
		}
	}
	if end, err := s.read(); err != nil {
		return nil, err
	} else if !isEnd(end) {
		return nil, errMalformed
	}
	return s.rows(int(columns))
}

func (s *session) rows(columns int) (first []string, err error) {
	for n := range maxRows + 1 {
		packet, err := s.read()
		if err != nil {
			return nil, err
		}
		if isEnd(packet) {
			return first, nil
		}
		if n == 0 {
			if first, err = parseRow(packet, columns); err != nil {
				return nil, err
			}
		}
	}
	return nil, errMalformed
}

// isEnd tells the packet that ends a list from a row that begins alike.
func isEnd(b []byte) bool { return b[0] == headEOF && len(b) < 9 }

func parseRow(b []byte, columns int) ([]string, error) {
	row := make([]string, 0, columns)
	for range columns {
		if len(b) > 0 && b[0] == headLocal {
			row, b = append(row, ""), b[1:]
			continue
		}
		size, rest, ok := lengthEncoded(b)
		if !ok || size > uint64(len(rest)) {
			return nil, errMalformed
		}
		row, b = append(row, string(rest[:size])), rest[size:]
	}
	return row, nil
}

// lengthEncoded reads an integer of one, three, four or nine bytes.
func lengthEncoded(b []byte) (n uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	size := 0
	switch b[0] {
	case 0xfc:
		size = 2
	case 0xfd:
		size = 3
	case 0xfe:
		size = 8
	case headLocal, headError:
		return 0, nil, false
	default:
		return uint64(b[0]), b[1:], true
	}
	if len(b) < 1+size {
		return 0, nil, false
	}
	var wide [8]byte
	copy(wide[:], b[1:1+size])
	return binary.LittleEndian.Uint64(wide[:]), b[1+size:], true
}

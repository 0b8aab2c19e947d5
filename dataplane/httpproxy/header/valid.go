package header

// Bits of bytes in the table.
const (
	inToken = 1 << iota // may be in names (RFC 9110, 5.6.2)
	inValue             // may be in values (RFC 9110, 5.5)
)

var table = func() (t [256]uint8) {
	for c := range 256 {
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			t[c] |= inToken
		}
		if c >= ' ' && c != 0x7f || c == '\t' {
			t[c] |= inValue
		}
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] |= inToken
	}
	return t
}()

// TokenByte tells whether a byte may be in the name of a field or in a method.
func TokenByte(c byte) bool { return table[c]&inToken != 0 }

// ValueByte tells whether a byte may be in the value of a field.
func ValueByte(c byte) bool { return table[c]&inValue != 0 }

// ValidName tells whether fields may have that name.
func ValidName(s string) bool {
	is := uint8(inToken)
	for i := range len(s) { // to its end, which takes less time than to look out
		is &= table[s[i]]
	}
	return is != 0 && s != ""
}

// ValidValue tells whether fields may have that value: no control bytes but
// tabs.
func ValidValue(s string) bool {
	for len(s) >= 8 {
		if control(s) && !validBytes(s[:8]) {
			return false
		}
		s = s[8:]
	}
	return validBytes(s)
}

// control tells whether there is a control byte among the first eight, which may
// be a tab.
func control(s string) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	del := w ^ 0x7f*ones
	return ((w-' '*ones)&^w|(del-ones)&^del)&highs != 0
}

func validBytes(s string) bool {
	for i := range len(s) {
		if table[s[i]]&inValue == 0 {
			return false
		}
	}
	return true
}

// EqualName tells whether two names are the same but for their case. Only
// ASCII letters have one.
func EqualName(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if x, y := a[i], b[i]; x != y && lower(x) != lower(y) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}

package wire

import "bytes"

// AppendClear adds a password as mysql_clear_password sends it, for private
// connections only (MySQL source code documentation, "Clear text client
// plugin").
func AppendClear(b []byte, password string) []byte { return appendNul(b, password) }

// ParseClear reads such a password.
func ParseClear(p []byte) (string, error) {
	password, rest, ok := bytes.Cut(p, []byte{0})
	if !ok || len(rest) > 0 {
		return "", ErrMalformed
	}
	return string(password), nil
}

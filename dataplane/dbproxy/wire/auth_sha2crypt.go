package wire

import (
	"crypto/sha256"
	"crypto/subtle"
	"strconv"
)

// What a server stores for caching_sha2_password: "$A$", the rounds in
// thousands as three hexadecimal digits, "$", 20 bytes of salt and the digest.
const (
	storedPrefix    = "$A$"
	storedRoundsLen = 3
	storedSaltLen   = 20
	storedDigestLen = 43
	storedUnit      = 1000
)

// VerifySHA2Stored checks a password against what MySQL's table of accounts
// has. It takes milliseconds, on purpose.
func VerifySHA2Stored(stored, password string) bool {
	const salted = len(storedPrefix) + storedRoundsLen + 1
	if len(stored) != salted+storedSaltLen+storedDigestLen || stored[:len(storedPrefix)] != storedPrefix ||
		stored[salted-1] != '$' || len(password) > maxPassword {
		return false
	}
	rounds, err := strconv.ParseUint(stored[len(storedPrefix):salted-1], 16, 32)
	if err != nil || rounds == 0 {
		return false
	}
	salt, digest := stored[salted:salted+storedSaltLen], stored[salted+storedSaltLen:]
	got := sha256Crypt([]byte(password), []byte(salt), int(rounds)*storedUnit)
	return subtle.ConstantTimeCompare(got, []byte(digest)) == 1
}

// sha256Crypt is SHA-crypt with SHA-256, as Ulrich Drepper's "Unix crypt using
// SHA-256 and SHA-512" describes it step by step.
func sha256Crypt(password, salt []byte, rounds int) []byte {
	b := sha256.Sum256(join(password, salt, password))
	a := join(password, salt, stretch(b[:], len(password)))
	for n := len(password); n > 0; n >>= 1 {
		if n&1 != 0 {
			a = append(a, b[:]...)
		} else {
			a = append(a, password...)
		}
	}
	c := sha256.Sum256(a)

	ps := sha256.Sum256(stretch(password, len(password)*len(password)))
	p := stretch(ps[:], len(password))
	ss := sha256.Sum256(stretch(salt, len(salt)*(16+int(c[0]))))
	s := stretch(ss[:], len(salt))

	for i := range rounds {
		a = a[:0]
		if i%2 != 0 {
			a = append(a, p...)
		} else {
			a = append(a, c[:]...)
		}
		if i%3 != 0 {
			a = append(a, s...)
		}
		if i%7 != 0 {
			a = append(a, p...)
		}
		if i%2 != 0 {
			a = append(a, c[:]...)
		} else {
			a = append(a, p...)
		}
		c = sha256.Sum256(a)
	}
	return cryptDigits(c)
}

func join(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// stretch repeats b to the length of n.
func stretch(b []byte, n int) []byte {
	out := make([]byte, 0, n+len(b))
	for len(out) < n {
		out = append(out, b...)
	}
	return out[:n]
}

// cryptDigits writes a digest in crypt's base 64, its bytes shuffled by
// groups of three.
func cryptDigits(c [sha256.Size]byte) []byte {
	const digits = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	out := make([]byte, 0, storedDigestLen)
	put := func(v uint, n int) {
		for range n {
			out = append(out, digits[v&63])
			v >>= 6
		}
	}
	for i, at := 0, [3]int{0, 10, 20}; i < 10; i++ {
		put(uint(c[at[0]])<<16|uint(c[at[1]])<<8|uint(c[at[2]]), 4)
		at = [3]int{at[2] + 1, at[0] + 1, at[1] + 1}
	}
	put(uint(c[31])<<8|uint(c[30]), 3)
	return out
}

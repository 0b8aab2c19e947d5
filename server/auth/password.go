package auth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The cost of a password hash, after OWASP's recommendation for argon2id.
const (
	hashMemory  = 19 << 10 // KiB
	hashTime    = 2
	hashThreads = 1
	hashLength  = 32
	saltLength  = 16
)

// HashPassword hashes a password with argon2id, in the PHC string format.
func HashPassword(password string) string {
	salt := make([]byte, saltLength)
	rand.Read(salt) //nolint:errcheck // crypto/rand.Read never fails
	return formatHash(salt, argon2.IDKey([]byte(password), salt, hashTime, hashMemory, hashThreads, hashLength))
}

// decoyHash looks like a hash and costs as much to check, but is of no known
// password. Making it costs nothing.
func decoyHash() string {
	random := make([]byte, saltLength+hashLength)
	rand.Read(random) //nolint:errcheck // crypto/rand.Read never fails
	return formatHash(random[:saltLength], random[saltLength:])
}

func formatHash(salt, sum []byte) string {
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashTime, hashThreads,
		enc.EncodeToString(salt), enc.EncodeToString(sum))
}

// checkPassword compares in constant time with a hash made by HashPassword,
// also with older costs.
func checkPassword(password, hash string) (bool, error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, errors.New("password hash has an unknown format")
	}
	var version int
	var memory, time uint32
	var threads uint8
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false, errors.New("password hash has an unknown version")
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &time, &threads); err != nil {
		return false, fmt.Errorf("password hash parameters: %w", err)
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false, fmt.Errorf("password hash salt: %w", err)
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(want) == 0 {
		return false, errors.New("password hash is damaged")
	}
	got := argon2.IDKey([]byte(password), salt, time, memory, threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

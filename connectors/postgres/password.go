package postgres

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/xdg-go/scram"
)

// scramIterations is PostgreSQL's default.
const scramIterations = 4096

// verifier is what the server keeps of a password. Sending it instead of the
// password keeps the password out of the server's log. The format is that of
// pg_authid.rolpassword
// (https://www.postgresql.org/docs/current/catalog-pg-authid.html).
func verifier(password string) (string, error) {
	if password == "" {
		return "", errors.New("the password is empty")
	}
	client, err := scramClient(password)
	if err != nil {
		return "", err
	}
	salt := make([]byte, 16)
	rand.Read(salt) //nolint:errcheck // never fails
	keys, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: scramIterations})
	if err != nil {
		return "", err
	}
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramIterations, encode(salt), encode(keys.StoredKey), encode(keys.ServerKey)), nil
}

// verifierParts are the salt and the keys in a verifier. Whoever knows the keys
// can log in to nothing, but can try passwords on them.
func verifierParts(verifier string) []string {
	_, rest, _ := strings.Cut(verifier, ":")
	return strings.FieldsFunc(rest, func(r rune) bool { return r == '$' || r == ':' })
}

// scramClient prepares a password as the server does: one that SASLprep
// refuses is taken as it is. The user name goes into the startup packet; the
// server ignores the one in the SCRAM message.
func scramClient(password string) (*scram.Client, error) {
	client, err := scram.SHA256.NewClient("", password, "")
	if err != nil {
		return scram.SHA256.NewClientUnprepped("", password, "")
	}
	return client, nil
}

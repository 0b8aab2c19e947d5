package ftp

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/crypto/ssh"

	"github.com/backplane/backplane/connectors"
)

// maxKeyFile bounds a private key's file; the largest keys have a tenth of it.
const maxKeyFile = 64 << 10

// checkKey finds faults in the private key. A file that does not exist yet is
// left to the connection test.
func checkKey(c connectors.Config, env connectors.Env) []connectors.Fault {
	fault := func(field, message string) []connectors.Fault {
		return []connectors.Fault{{Field: field, Message: message}}
	}
	inline, path, passphrase := c.String("private_key"), c.String("private_key_path"), c.String("private_key_passphrase")
	field, pem := "private_key", []byte(inline)
	switch {
	case inline != "" && path != "":
		return fault("private_key", "must not be set together with private_key_path")
	case path != "":
		var err error
		if pem, err = readKey(env, path); errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return fault("private_key_path", err.Error())
		}
		field = "private_key_path"
	case inline == "" && passphrase != "":
		return fault("private_key_passphrase", "is of no use without a private key")
	case inline == "":
		return nil
	}
	if _, err := parseKey(pem, passphrase); err != nil {
		if errors.Is(err, errPassphrase) {
			field = "private_key_passphrase"
		}
		return fault(field, err.Error())
	}
	return nil
}

// signer is the configured private key, nil when there is none.
func signer(c connectors.Config, env connectors.Env) (ssh.Signer, error) {
	pem := []byte(c.String("private_key"))
	if path := c.String("private_key_path"); path != "" {
		var err error
		if pem, err = readKey(env, path); err != nil {
			return nil, &connectors.Failure{Code: connectors.InvalidConfig, Detail: "private_key_path " + err.Error(), Err: err}
		}
	}
	if len(pem) == 0 {
		return nil, nil
	}
	key, err := parseKey(pem, c.String("private_key_passphrase"))
	if err != nil {
		return nil, &connectors.Failure{Code: connectors.InvalidConfig, Detail: "the private key " + err.Error(), Err: err}
	}
	return key, nil
}

// keyFileError says what is wrong with a file without naming it.
type keyFileError struct {
	text  string
	cause error
}

func (e *keyFileError) Error() string { return e.text }
func (e *keyFileError) Unwrap() error { return e.cause }

func readKey(env connectors.Env, path string) ([]byte, error) {
	real, err := env.Resolve(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(real)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &keyFileError{"names a file that does not exist", err}
	case err != nil:
		return nil, &keyFileError{"names a file that cannot be read", err}
	case !info.Mode().IsRegular(): // opening a pipe would wait for a writer
		return nil, &keyFileError{"must name a regular file", nil}
	}
	f, err := os.Open(real)
	if err != nil {
		return nil, &keyFileError{"names a file that cannot be read", err}
	}
	defer f.Close()
	pem, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil || len(pem) > maxKeyFile {
		return nil, &keyFileError{fmt.Sprintf("must name a file of at most %d bytes", maxKeyFile), err}
	}
	return pem, nil
}

// errPassphrase marks faults of the passphrase rather than the key.
var errPassphrase = errors.New("passphrase")

type passphraseError struct{ text string }

func (e *passphraseError) Error() string        { return e.text }
func (e *passphraseError) Is(target error) bool { return target == errPassphrase }

// parseKey never repeats what the library says: it may quote the key.
func parseKey(pem []byte, passphrase string) (ssh.Signer, error) {
	key, err := ssh.ParsePrivateKey(pem)
	var locked *ssh.PassphraseMissingError
	switch {
	case err == nil:
		return key, nil
	case !errors.As(err, &locked):
		return nil, errors.New("must be a private key in PEM text")
	case passphrase == "":
		return nil, &passphraseError{"is required: the private key is encrypted"}
	}
	key, err = ssh.ParsePrivateKeyWithPassphrase(pem, []byte(passphrase))
	if errors.Is(err, x509.IncorrectPasswordError) {
		return nil, &passphraseError{"does not open the private key"}
	} else if err != nil {
		return nil, errors.New("must be a private key in PEM text")
	}
	return key, nil
}

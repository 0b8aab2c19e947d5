package mysql

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"

	"github.com/backplane/backplane/connectors"
)

// Steps that caching_sha2_password announces as more data.
const (
	sha2FastOK  = 3 // the server had the password cached; OK follows
	sha2FullWay = 4 // the password itself is wanted
)

// maxSteps bounds how often a server may ask again during one login.
const maxSteps = 8

// maxKeySize bounds the RSA keys, in bytes, that a server may make a test
// compute with.
const maxKeySize = 2048

// login answers the greeting and whatever the server asks until it says OK.
func (s *session) login(user, password, database string) error {
	a := &authenticator{plugin: s.greeting.plugin, salt: s.greeting.salt, password: password, encrypted: s.tls}
	if !a.known() {
		// The proposal need not fit the account: begin with the common plugin,
		// the server switches if the account has another.
		a.plugin = pluginNative
	}
	answer, err := a.first()
	if err != nil {
		return err
	}
	if err := s.write(s.loginPacket(user, database, a.plugin, answer)); err != nil {
		return err
	}
	for range maxSteps {
		packet, err := s.read()
		if err != nil {
			return err
		}
		switch packet[0] {
		case headOK:
			return nil
		case headEOF:
			answer, err = a.change(packet)
		case headMoreData:
			answer, err = a.more(packet[1:])
		default:
			return errMalformed
		}
		if err != nil {
			return err
		}
		if answer != nil {
			if err := s.write(answer); err != nil {
				return err
			}
		}
	}
	return errMalformed
}

// loginPacket is a HandshakeResponse41. The answer is short enough to have
// its length in one byte.
func (s *session) loginPacket(user, database, plugin string, answer []byte) []byte {
	b := s.header(s.tls)
	b = append(append(b, user...), 0)
	b = append(b, byte(len(answer)))
	b = append(b, answer...)
	b = append(append(b, database...), 0)
	if s.greeting.caps&capPluginAuth != 0 {
		b = append(append(b, plugin...), 0)
	}
	return b
}

// authenticator is the client's side of a login plugin.
type authenticator struct {
	plugin    string
	salt      []byte
	password  string
	encrypted bool
	keyAsked  bool // the server's RSA key was asked for
}

// change follows the server's switch to another plugin.
func (a *authenticator) change(packet []byte) ([]byte, error) {
	if len(packet) == 1 {
		return nil, unsupported("mysql_old_password")
	}
	name, salt, ok := bytes.Cut(packet[1:], []byte{0})
	if !ok {
		return nil, errMalformed
	}
	a.plugin, a.keyAsked = string(name), false
	if len(salt) > 0 {
		a.salt = salt
	}
	answer, err := a.first()
	if answer == nil && err == nil {
		answer = []byte{}
	}
	return answer, err
}

// more answers further data of a plugin: nil when there is nothing to answer.
func (a *authenticator) more(data []byte) ([]byte, error) {
	switch {
	case a.plugin != pluginCachingSHA2 && a.plugin != pluginSHA256:
		return nil, errMalformed
	case a.keyAsked:
		return a.encrypt(data)
	case a.plugin == pluginCachingSHA2 && len(data) == 1 && data[0] == sha2FastOK:
		return nil, nil
	case a.plugin == pluginCachingSHA2 && len(data) == 1 && data[0] == sha2FullWay:
		if a.encrypted {
			return a.clear(), nil
		}
		a.keyAsked = true
		return []byte{2}, nil
	}
	return nil, errMalformed
}

// clear is the password as it is, for encrypted connections only.
func (a *authenticator) clear() []byte { return append([]byte(a.password), 0) }

// encrypt answers with the password, encrypted for the RSA key sent.
func (a *authenticator) encrypt(keyPEM []byte) ([]byte, error) {
	a.keyAsked = false
	block, _ := pem.Decode(keyPEM)
	if block == nil {
		return nil, errMalformed
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, errMalformed
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok || len(a.salt) < saltSize || key.Size() > maxKeySize {
		return nil, errMalformed
	}
	return encryptPassword(a.clear(), a.salt[:saltSize], key)
}

func unsupported(plugin string) error {
	return connectors.Fail(connectors.AuthUnsupported, nil, "the server asks for %.64q", plugin)
}

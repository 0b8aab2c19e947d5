package wire

import "fmt"

// Credentials are what Login proves an identity with.
type Credentials interface {
	// Token answers a plugin that wants one proof for its scramble. ok is
	// false when these credentials are of no use to the plugin.
	Token(plugin string, scramble []byte) (token []byte, ok bool)
	// Clear is the password itself, for plugins that want it. ok is false
	// when it is not known.
	Clear() (password string, ok bool)
}

// Password is a password in clear. The empty one stands for an account
// without a password.
type Password string

var (
	_ Credentials = Password("")
	_ Credentials = nativeCredentials{}
	_ Credentials = sha2Credentials{}
)

// Format hides the password.
func (Password) Format(f fmt.State, _ rune) { hide(f) }

// Clear is the password.
func (p Password) Clear() (string, bool) { return string(p), true }

// Token answers all plugins that this package knows.
func (p Password) Token(plugin string, scramble []byte) ([]byte, bool) {
	switch plugin {
	case PluginNative:
		if p == "" {
			return nil, true
		}
		return HashNative(string(p)).Token(scramble), true
	case PluginSHA2:
		if p == "" {
			return nil, true
		}
		return HashSHA2(string(p)).Token(scramble), true
	case PluginEd25519:
		return SignEd25519(string(p), scramble), true
	}
	return nil, false
}

type nativeCredentials struct{ NativeHash }

// Credentials logs in by mysql_native_password alone.
func (h NativeHash) Credentials() Credentials { return nativeCredentials{h} }

// Clear knows no password.
func (nativeCredentials) Clear() (string, bool) { return "", false }

// Token answers mysql_native_password.
func (c nativeCredentials) Token(plugin string, scramble []byte) ([]byte, bool) {
	if plugin != PluginNative {
		return nil, false
	}
	return c.NativeHash.Token(scramble), true
}

type sha2Credentials struct{ SHA2Hash }

// Credentials logs in by caching_sha2_password alone, where the server has the
// password cached.
func (h SHA2Hash) Credentials() Credentials { return sha2Credentials{h} }

// Clear knows no password.
func (sha2Credentials) Clear() (string, bool) { return "", false }

// Token answers caching_sha2_password.
func (c sha2Credentials) Token(plugin string, scramble []byte) ([]byte, bool) {
	if plugin != PluginSHA2 {
		return nil, false
	}
	return c.SHA2Hash.Token(scramble), true
}

package dbproxy

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/account"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// maxQuestions bounds how often a client is asked during one login.
const maxQuestions = 10

// exchange asks a client who it is. What it has said once it is not asked
// again, so that the answer can be held against newer accounts.
type exchange struct {
	session    *Session
	rules      *loginRules
	begins     string // the plugin of the greeting
	plugin     string // that the client has answered last
	scramble   []byte
	token      []byte
	switchable bool // the client knows other plugins
	questions  int

	cached   bool // the client was told that its token was right
	password *wire.Password
	empty    bool // the client has shown no password
}

var (
	errQuestions = errors.New("the client was asked too often")
	errClear     = errors.New("the connection is not private, and the password would be sent in clear: it takes TLS or a local socket")
)

// used tells whether the client has shown a password.
func (x *exchange) used() string {
	if x.empty {
		return "NO"
	}
	return "YES"
}

// ask sends a packet and returns the client's answer.
func (x *exchange) ask(payload []byte) ([]byte, error) {
	if x.questions++; x.questions > maxQuestions {
		return nil, errQuestions
	}
	if err := x.session.send(payload); err != nil {
		return nil, err
	}
	return x.session.hear()
}

// answer is the client's answer to a plugin, for which it is switched to that
// plugin unless it has given it already.
func (x *exchange) answer(plugin string) ([]byte, error) {
	if x.plugin == plugin {
		return x.token, nil
	}
	if !x.switchable {
		return nil, &wire.ServerError{
			Code: wire.ErrCodeAuthMode, State: wire.StateRejected,
			Message: "Client does not support authentication protocol requested by server; consider upgrading MariaDB client",
		}
	}
	request := wire.AuthSwitch{Plugin: plugin}
	var scramble []byte
	switch plugin {
	case wire.PluginClear:
	case wire.PluginDialog:
		request.Data = []byte("\x04Password: ") // not to be shown while it is typed
	case wire.PluginEd25519:
		scramble = make([]byte, wire.Ed25519ScrambleSize)
		rand.Read(scramble) // never fails
		request.Data = scramble
	default:
		fresh := wire.NewScramble()
		x.session.scramble, scramble = fresh, fresh[:]
		request.Data = append(fresh[:], 0)
	}
	token, err := x.ask(request.Append(nil))
	if err != nil {
		return nil, err
	}
	x.told(plugin, scramble, token)
	return x.token, nil
}

// told notes an answer.
func (x *exchange) told(plugin string, scramble, token []byte) {
	if len(token) == 1 && token[0] == 0 && plugin != wire.PluginEd25519 {
		token = nil // how caching_sha2_password says that there is no password
	}
	x.plugin, x.scramble, x.token = plugin, scramble, append([]byte(nil), token...)
	x.cached, x.password, x.empty = false, nil, len(token) == 0
}

// verify holds the client's answer against one of the ways in which an account
// may log in. Credentials are for servers; they are nil where the answer is of
// no use to them. ok is false when the answer is wrong; reason says then, for
// the log, what it needs where it is not just that.
func (x *exchange) verify(a *account.Account, m account.Method) (c wire.Credentials, ok bool, reason string, err error) {
	switch m.Plugin {
	case account.NativePassword:
		if x.rules.allows(authMariaDB) {
			return x.native(m.Text)
		}
	case wire.PluginSHA2:
		if x.rules.allows(authMariaDB) {
			return x.sha2(a, m, func(password string) bool { return wire.VerifySHA2Stored(m.Text, password) })
		}
	case "ed25519":
		if x.rules.allows(authEd25519) {
			return x.ed25519(a, m)
		}
	case "pam":
		if x.rules.allows(authPAM) {
			return x.pam()
		}
	}
	return nil, false, "logins by " + m.Plugin + " are not possible here", nil
}

func (x *exchange) native(text string) (wire.Credentials, bool, string, error) {
	token, err := x.answer(wire.PluginNative)
	if err != nil {
		return nil, false, "", err
	}
	if text == "" || len(token) == 0 {
		return wire.Password(""), text == "" && len(token) == 0, "", nil
	}
	stored, err := wire.ParseNativeStored(text)
	if err != nil {
		return nil, false, "the account has no password that can be checked", nil
	}
	hash, ok := stored.Verify(x.scramble, token)
	return hash.Credentials(), ok, "", nil
}

// ed25519 checks a signature, from which nothing can be had for servers: it
// takes a mapping. Or the client is made to send its password, encrypted.
func (x *exchange) ed25519(a *account.Account, m account.Method) (wire.Credentials, bool, string, error) {
	stored, err := wire.ParseEd25519Stored(m.Text)
	if err != nil {
		return nil, false, "the account has no password that can be checked", nil
	}
	if x.rules.edBySHA2 {
		return x.sha2(a, m, func(password string) bool { return wire.HashEd25519(password) == stored })
	}
	if x.rules.mapping == nil {
		return nil, false, "ed25519 takes a user_mapping_file or ed_mode=sha256", nil
	}
	token, err := x.answer(wire.PluginEd25519)
	if err != nil {
		return nil, false, "", err
	}
	ok := false
	x.session.Outside(func() { ok = stored.Verify(x.scramble, token) })
	return nil, ok, "", nil
}

// pam takes the password in clear, for the servers to check.
func (x *exchange) pam() (wire.Credentials, bool, string, error) {
	plugin := wire.PluginDialog
	if x.rules.clearDialog || x.plugin == wire.PluginClear {
		plugin = wire.PluginClear
	}
	password, err := x.inClear(plugin)
	if err != nil {
		return nil, false, "", err
	}
	return password, true, "", nil
}

// inClear asks for the password itself.
func (x *exchange) inClear(plugin string) (wire.Password, error) {
	if !x.private() {
		return "", errClear
	}
	token, err := x.answer(plugin)
	if err != nil {
		return "", err
	}
	if x.empty {
		return "", nil
	}
	password, err := wire.ParseClear(token)
	if err != nil {
		return "", &wire.ConnError{Conn: x.session.client, Op: "read", Err: err}
	}
	x.empty = password == ""
	return wire.Password(password), nil
}

// private tells whether nobody can listen in on the client. One that a PROXY
// header speaks of has come over a network, though the connection is local.
func (x *exchange) private() bool {
	c := x.session.client
	if _, secured := c.TLS(); secured {
		return true
	}
	if remote := x.session.remote; remote.IsValid() && !remote.Addr().IsLoopback() {
		return false
	}
	if c.Private() {
		return true
	}
	peer, ok := c.NetConn().RemoteAddr().(*net.TCPAddr)
	return ok && peer.IP.IsLoopback()
}

// sha2 is caching_sha2_password: a client whose password is remembered proves
// it by a token, any other one sends it, encrypted.
func (x *exchange) sha2(a *account.Account, m account.Method, verify func(password string) bool) (wire.Credentials, bool, string, error) {
	token, err := x.answer(wire.PluginSHA2)
	if err != nil {
		return nil, false, "", err
	}
	if m.Text == "" || len(token) == 0 {
		return wire.Password(""), m.Text == "" && len(token) == 0, "", nil
	}
	known := &x.session.service.passwords
	if password, ok := known.find(a.Name, m.Text, x.scramble, token); ok {
		if x.password == nil && !x.cached {
			x.cached = true
			return password, true, "", x.session.client.WritePacket(wire.AppendAuthMore(nil, []byte{wire.SHA2FastOK}))
		}
		return password, true, "", nil
	}
	if x.cached {
		return nil, false, "", nil // it has been told that all is well: there is no asking any more
	}
	var password wire.Password
	var ok bool
	x.session.Outside(func() { // it takes a while to compute
		if password, err = x.full(); err != nil {
			return
		}
		if ok = x.rules.skip || verify(string(password)); ok && !x.rules.skip {
			known.add(a.Name, m.Text, password)
		}
	})
	if err != nil || !ok {
		return nil, false, "", err
	}
	return password, true, "", nil
}

// full asks for the password behind the token.
func (x *exchange) full() (wire.Password, error) {
	if x.password != nil {
		return *x.password, nil
	}
	packet, err := x.ask(wire.AppendAuthMore(nil, []byte{wire.SHA2Full}))
	if err != nil {
		return "", err
	}
	key := x.session.proxy.loginKey(x.rules)
	if len(packet) == 1 && packet[0] == wire.SHA2RequestKey {
		k, err := key()
		if err != nil {
			return "", err
		}
		text, err := wire.AppendPublicKey(nil, &k.PublicKey)
		if err != nil {
			return "", err
		}
		if packet, err = x.ask(wire.AppendAuthMore(nil, text)); err != nil {
			return "", err
		}
		return x.learn(wire.DecryptPassword(packet, x.scramble, k))
	}
	if !x.session.client.Private() {
		// A client that has a copy of the key did not need to ask for it.
		k, err := key()
		if err != nil {
			return "", err
		}
		return x.learn(wire.DecryptPassword(packet, x.scramble, k))
	}
	return x.learn(wire.ParseClear(packet))
}

func (x *exchange) learn(password string, err error) (wire.Password, error) {
	if err != nil {
		return "", &wire.ConnError{Conn: x.session.client, Op: "read", Err: err}
	}
	p := wire.Password(password)
	x.password = &p
	return p, nil
}

// loginKey is the key with which clients encrypt passwords, made when it is
// first needed.
func (p *Proxy) loginKey(rules *loginRules) func() (*rsa.PrivateKey, error) {
	if rules.key != nil {
		return func() (*rsa.PrivateKey, error) { return rules.key, nil }
	}
	return p.key
}

// hear reads the client's next packet of the login.
func (s *Session) hear() ([]byte, error) {
	if err := s.client.SetReadDeadline(time.Now().Add(s.proxy.loginTimeout("auth_read_timeout"))); err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	return s.client.ReadPacket()
}

// loginTimeout is a timeout of the settings.
func (p *Proxy) loginTimeout(name string) time.Duration {
	if d := p.Config().Settings.Duration(name); d > 0 {
		return d
	}
	return 10 * time.Second
}

package mysql

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the server's login method
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/backplane/backplane/connectors"
)

// script is a connection whose server says prepared bytes, then closes.
type script struct {
	net.Conn
	in  io.Reader
	out *bytes.Buffer
}

func (s script) Read(b []byte) (int, error)  { return s.in.Read(b) }
func (s script) Write(b []byte) (int, error) { return s.out.Write(b) }
func (s script) Close() error                { return nil }

// packets frames bodies as a server does, from a sequence number on.
func packets(seq byte, step byte, bodies ...string) string {
	var b strings.Builder
	for _, body := range bodies {
		b.Write([]byte{byte(len(body)), byte(len(body) >> 8), 0, seq})
		b.WriteString(body)
		seq += step
	}
	return b.String()
}

const salt = "12345678901234567890"

func hello(plugin string) string {
	return "\x0a8.4.0\x00" + "\x01\x00\x00\x00" + salt[:8] + "\x00" + "\x09\xa2" + "\x2d\x02\x00" + "\x08\x00" + "\x15" +
		strings.Repeat("\x00", 10) + salt[8:] + "\x00" + plugin + "\x00"
}

const (
	okPacket = "\x00\x00\x00\x02\x00\x00\x00"
	end      = "\xfe\x00\x00\x02\x00"
)

// result is an answer of one column and one row to a query.
func result(value string) string {
	return packets(1, 1, "\x01", "column", end, string([]byte{byte(len(value))})+value, end)
}

// closing is the rest of a test after the login.
var closing = result("8.4.0") + result("0") + packets(1, 1, "\x02", "c1", "c2", end, "\x0aSsl_cipher\x00", end)

type scriptedConnector struct {
	said []byte
	out  *bytes.Buffer
	tls  bool // take the connection for an encrypted one
}

func (scriptedConnector) Spec() connectors.Spec { return New().Spec() }

func (s scriptedConnector) Test(ctx context.Context, p *connectors.Probe, c connectors.Config) error {
	p.Enter(connectors.StageGreeting)
	out := s.out
	if out == nil {
		out = &bytes.Buffer{}
	}
	sess := &session{wire: newWire(script{in: bytes.NewReader(s.said), out: out}), tls: s.tls}
	if err := sess.open(ctx, p, c); err != nil {
		return translate(err, sess.tls, c.String("database"))
	}
	return translate(sess.verify(p), sess.tls, c.String("database"))
}

func (s scriptedConnector) run(t testing.TB) *connectors.Failure {
	t.Helper()
	c, faults := New().Spec().Validate(map[string]any{"host": "h", "database": "d", "username": "u", "password": "secret"}, connectors.Env{})
	if faults != nil {
		t.Fatal(faults)
	}
	_, f := connectors.Run(t.Context(), s, c, connectors.Env{}, time.Second)
	return f
}

func codeOf(f *connectors.Failure) connectors.Code {
	if f == nil {
		return ""
	}
	return f.Code
}

func TestScriptedServers(t *testing.T) {
	native := packets(0, 2, hello(pluginNative))
	for name, tc := range map[string]struct {
		said string
		want connectors.Code
	}{
		"native login":                   {native + packets(2, 2, okPacket) + closing, ""},
		"cached SHA2 login":              {packets(0, 2, hello(pluginCachingSHA2)) + packets(2, 1, "\x01\x03", okPacket) + closing, ""},
		"an unknown proposal":            {packets(0, 2, hello("exotic")) + packets(2, 2, okPacket) + closing, ""},
		"refused extras":                 {native + packets(2, 2, okPacket) + result("8") + packets(1, 1, "\xff\x10\x04#42000no") + packets(1, 1, "\xff\x10\x04#42000no"), ""},
		"the old login":                  {native + packets(2, 2, "\xfe"), connectors.AuthUnsupported},
		"a login in clear":               {native + packets(2, 2, "\xfemysql_clear_password\x00"), connectors.AuthUnsupported},
		"a switch without an end":        {native + packets(2, 2, "\xfemysql"), connectors.ProtocolMismatch},
		"a switch with a short salt":     {native + packets(2, 2, "\xfemysql_native_password\x00abc"), connectors.ProtocolMismatch},
		"another factor":                 {native + packets(2, 2, "\x02more"), connectors.ProtocolMismatch},
		"endless switches":               {native + packets(2, 2, strings.Split(strings.Repeat("\xfesha256_password\x00\n", 20), "\n")[:20]...), connectors.ProtocolMismatch},
		"a bad key":                      {packets(0, 2, hello(pluginCachingSHA2)) + packets(2, 2, "\x01\x04", "\x01no key"), connectors.ProtocolMismatch},
		"too many connections":           {packets(0, 1, "\xff\x10\x04Too many connections"), connectors.ServerBusy},
		"a blocked host":                 {packets(0, 1, "\xff\x69\x04Host is blocked"), connectors.PermissionDenied},
		"a stranger's host":              {packets(0, 1, "\xff\x6a\x04Host is not allowed"), connectors.PermissionDenied},
		"insecure transport":             {native + packets(2, 2, "\xff\x57\x0c#HY000insecure"), connectors.TLSRequired},
		"the account's plugin is absent": {native + packets(2, 2, "\xff\xe3\x04#08004old"), connectors.AuthUnsupported},
		"any other refusal":              {native + packets(2, 2, "\xff\x01\x00#08004odd"), connectors.Closed},
		"a short error":                  {native + packets(2, 2, "\xff"), connectors.ProtocolMismatch},
		"an ancient server":              {packets(0, 1, "\x0a3.23\x00\x01\x00\x00\x0012345678\x00\x00\x00"), connectors.ProtocolMismatch},
		"a short greeting":               {packets(0, 1, "\x0a8.4.0\x00\x01"), connectors.ProtocolMismatch},
		"a greeting without an end":      {packets(0, 1, "\x0a8.4.0"), connectors.ProtocolMismatch},
		"another protocol":               {"SSH-2.0-OpenSSH_9.2\r\n", connectors.ProtocolMismatch},
		"a short banner":                 {"OK\r\n", connectors.ProtocolMismatch},
		"packets out of turn":            {native + packets(7, 2, okPacket), connectors.ProtocolMismatch},
		"a huge packet":                  {native + "\xff\xff\xff\x02", connectors.ProtocolMismatch},
		"an empty packet":                {native + "\x00\x00\x00\x02", connectors.ProtocolMismatch},
		"a request for a local file":     {native + packets(2, 2, okPacket) + packets(1, 1, "\xfb/etc/passwd"), connectors.ProtocolMismatch},
		"a broken row":                   {native + packets(2, 2, okPacket) + packets(1, 1, "\x01", "column", end, "\x20short", end), connectors.ProtocolMismatch},
		"a hangup":                       {native, connectors.Closed},
	} {
		t.Run(name, func(t *testing.T) {
			f := scriptedConnector{said: []byte(tc.said)}.run(t)
			if codeOf(f) != tc.want {
				t.Errorf("got %q (%v), want %q", codeOf(f), f, tc.want)
			}
		})
	}
}

// The vector is the one of go-sql-driver/mysql.
func TestScrambleSHA256(t *testing.T) {
	nonce := []byte{10, 47, 74, 111, 75, 73, 34, 48, 88, 76, 114, 74, 37, 13, 3, 80, 82, 2, 23, 21}
	got := hex.EncodeToString(scrambleSHA256("secret", nonce))
	if want := "f490e76f66d9d86665ce54d98c78d0acfe2fb0b08b423da807144873d30b312c"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// In clear, the plugins of MySQL 8 encrypt the password for the server's key;
// under TLS they send it as it is.
func TestPasswordExchange(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := "\x01" + string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	for name, tc := range map[string]struct {
		conn    scriptedConnector
		sent    int // number of the packet that carries the password
		inClear bool
	}{
		"caching_sha2 in clear":    {scriptedConnector{said: []byte(packets(0, 2, hello(pluginCachingSHA2), "\x01\x04", public, okPacket) + closing)}, 2, false},
		"sha256 in clear":          {scriptedConnector{said: []byte(packets(0, 2, hello(pluginNative), "\xfesha256_password\x00"+salt+"\x00", public, okPacket) + closing)}, 2, false},
		"caching_sha2 under TLS":   {scriptedConnector{said: []byte(packets(0, 2, hello(pluginCachingSHA2), "\x01\x04", okPacket) + closing), tls: true}, 1, true},
		"sha256 under TLS":         {scriptedConnector{said: []byte(packets(0, 2, hello(pluginNative), "\xfesha256_password\x00"+salt+"\x00", okPacket) + closing), tls: true}, 1, true},
		"clear password under TLS": {scriptedConnector{said: []byte(packets(0, 2, hello(pluginNative), "\xfemysql_clear_password\x00", okPacket) + closing), tls: true}, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			tc.conn.out = &bytes.Buffer{}
			f := tc.conn.run(t)
			// The prepared answers to queries lack a cipher, which is fine.
			if f != nil {
				t.Fatalf("%v (%v)", f, f.Err)
			}
			sent := sentPackets(tc.conn.out.Bytes())[tc.sent]
			if !tc.inClear {
				if sent, err = rsa.DecryptOAEP(sha1.New(), nil, key, sent, nil); err != nil {
					t.Fatal(err)
				}
				for i := range sent {
					sent[i] ^= salt[i%len(salt)]
				}
			}
			if string(sent) != "secret\x00" {
				t.Errorf("sent %q", sent)
			}
		})
	}
}

func sentPackets(b []byte) (out [][]byte) {
	for len(b) >= 4 {
		size := int(b[0]) | int(b[1])<<8
		out = append(out, bytes.Clone(b[4:4+size]))
		b = b[4+size:]
	}
	return out
}

func FuzzServer(f *testing.F) {
	f.Add([]byte(packets(0, 2, hello(pluginNative), okPacket)+closing), false)
	f.Add([]byte(packets(0, 2, hello(pluginCachingSHA2), "\x01\x04", "\x01key")), false)
	f.Add([]byte(packets(0, 2, hello(pluginNative), "\xfesha256_password\x00"+salt+"\x00")), true)
	f.Add([]byte(packets(0, 2, hello(pluginNative), "\xfeclient_ed25519\x00"+salt+salt)), false)
	f.Add([]byte(packets(0, 1, "\xff\x10\x04#08004Too many connections")), false)
	f.Add([]byte("220 smtp\r\n"), false)
	f.Fuzz(func(t *testing.T, said []byte, tls bool) {
		if f := (scriptedConnector{said: said, tls: tls}).run(t); f != nil && strings.Contains(errors.Join(f.Err, f).Error(), "panic") {
			t.Fatal(f.Err)
		}
	})
}

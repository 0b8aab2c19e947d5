package ftp_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/conformance"
	"github.com/backplane/backplane/connectors/ftp"
	"github.com/backplane/backplane/testbed"
)

// sshServers are the real ones, and the files around them.
type sshServers struct {
	full, keysOnly, interactive, noSFTP *testbed.SFTP

	stranger, locked, lockedOld string // private keys
	roots                       string
}

func startSSH(t *testing.T) sshServers {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := sshServers{
		full:        testbed.StartSFTP(t, testbed.SFTPOptions{}),
		keysOnly:    testbed.StartSFTP(t, testbed.SFTPOptions{NoPassword: true}),
		interactive: testbed.StartSFTP(t, testbed.SFTPOptions{KeyboardInteractive: true}),
		noSFTP:      testbed.StartSFTP(t, testbed.SFTPOptions{NoSFTP: true}),
		stranger:    testbed.PrivateKeyPEM(t, crypto.PrivateKey(key), ""),
		roots:       t.TempDir(),
	}
	user, err := ssh.ParseRawPrivateKey([]byte(s.full.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	s.locked = testbed.PrivateKeyPEM(t, user, "open sesame")
	der, err := x509.MarshalECPrivateKey(user.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 the old format is weak, but in use, and opens a hundred times faster
	block, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", der, []byte("open sesame"), x509.PEMCipherAES256)
	if err != nil {
		t.Fatal(err)
	}
	s.lockedOld = string(pem.EncodeToMemory(block))
	s.full.Mkdir(t, "uploads äß", 0o755)
	s.full.Mkdir(t, "closed", 0)
	for name, content := range map[string]string{"key": s.full.PrivateKey, "not-a-key": "hello"} {
		if err := os.WriteFile(filepath.Join(s.roots, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func fingerprint(t *testing.T, line string) string {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	return ssh.FingerprintSHA256(key)
}

func TestConformanceSFTP(t *testing.T) {
	s := startSSH(t)
	conformance.Run(t, conformance.Backend{
		Connector:   ftp.New(),
		Env:         connectors.Env{FileRoots: []string{s.roots}},
		ServerFirst: true,
		Good: change{
			"protocol": "sftp", "host": "127.0.0.1", "port": port(s.full.Port),
			"username": s.full.Username, "password": s.full.Password,
			"host_key": "files.example.com " + s.full.HostKeys["ssh-ed25519"],
		},
		At:      at,
		Cases:   slices.Concat(sftpLogins(t, s), sftpHostKeys(t, s), sftpPaths(s)),
		Invalid: sftpInvalid(s),
		Skip:    map[string]string{"an SSH server is another protocol": "it is this one"},
	})
}

// anyKey is a change to another server than the one whose key is pinned.
func anyKey(s *testbed.SFTP, more change) change {
	return merge(change{"port": port(s.Port), "host_key": s.HostKeys["ssh-ed25519"]}, more)
}

func sftpLogins(_ *testing.T, s sshServers) []conformance.Case {
	key := func(c change) change { return merge(change{"password": nil}, c) }
	return []conformance.Case{
		{Name: "a key connects", Change: key(change{"private_key": s.full.PrivateKey})},
		{Name: "a locked key connects", Change: key(change{"private_key": s.lockedOld, "private_key_passphrase": "open sesame"})},
		{Name: "a key from a file connects", Change: key(change{"private_key_path": "key"})},
		{Name: "a strange key and the password connect", Change: change{"private_key": s.stranger}},
		{Name: "a key where passwords are not taken connects", Change: anyKey(s.keysOnly, change{"private_key": s.keysOnly.PrivateKey})},
		{Name: "the password on request connects", Change: anyKey(s.interactive, nil)},

		{Name: "wrong password", Change: change{"password": "not-the-password"}, Want: connectors.AuthFailed, Stage: connectors.StageAuth, Contain: "password"},
		{Name: "wrong user", Change: change{"username": "nobody"}, Want: connectors.AuthFailed, Stage: connectors.StageAuth},
		{Name: "a strange key", Change: key(change{"private_key": s.stranger}), Want: connectors.AuthFailed, Contain: "publickey"},
		{Name: "wrong password on request", Change: anyKey(s.interactive, change{"password": "not-the-password"}),
			Want: connectors.AuthFailed, Contain: "keyboard-interactive"},
		{Name: "wrong password on request within a second", Change: anyKey(s.interactive, change{"password": "not-the-password"}),
			Want: connectors.Timeout, Stage: connectors.StageAuth, Contain: "credentials", Timeout: time.Second},
		{Name: "a password where only keys are taken", Change: anyKey(s.keysOnly, nil), Want: connectors.AuthUnsupported, Contain: "publickey"},
		{Name: "SSH without SFTP", Change: anyKey(s.noSFTP, nil), Want: connectors.ProtocolMismatch, Contain: "without SFTP"},
		{Name: "a key file that is gone", Change: key(change{"private_key_path": "gone"}), Want: connectors.InvalidConfig, Stage: connectors.StageConfig},
	}
}

func sftpHostKeys(t *testing.T, s sshServers) []conformance.Case {
	var cases []conformance.Case
	for kind, line := range s.full.HostKeys {
		cases = append(cases,
			conformance.Case{Name: "the pinned " + kind + " connects", Change: change{"host_key": "[files]:22,10.0.0.1 " + line}})
	}
	first := fingerprint(t, s.full.HostKeys["ssh-ed25519"])
	return append(cases, []conformance.Case{
		{Name: "a bare key connects", Change: change{"host_key": s.full.HostKeys["ssh-rsa"]}},
		{Name: "a pinned fingerprint connects", Change: change{"host_key": first}},
		{Name: "one of several keys connects",
			Change: change{"host_key": "a " + s.noSFTP.HostKeys["ssh-ed25519"] + "\n# rotated\nb " + s.full.HostKeys["ssh-ed25519"] + "\n"}},
		{Name: "an unknown key shows its fingerprint", Change: dropped("host_key"), Want: connectors.HostKeyUnknown,
			Stage: connectors.StageGreeting, Contain: first},
		{Name: "another key", Change: change{"host_key": s.noSFTP.HostKeys["ssh-ed25519"]}, Want: connectors.HostKeyMismatch, Contain: first},
		{Name: "another fingerprint", Change: change{"host_key": fingerprint(t, s.noSFTP.HostKeys["ssh-ed25519"])}, Want: connectors.HostKeyMismatch},
		{Name: "another key although new ones are accepted", Want: connectors.HostKeyMismatch,
			Change: change{"host_key": s.noSFTP.HostKeys["ssh-ed25519"], "host_key_policy": "accept-new"}},
		{Name: "a new key is learned", Change: change{"host_key": nil, "host_key_policy": "accept-new"},
			Check: func(t *testing.T, r connectors.Report, _ *connectors.Failure) {
				if got := r.Learned["host_key"]; !strings.HasSuffix(got, " "+s.full.HostKeys["ssh-ed25519"]) {
					t.Errorf("learned %q", got)
				}
				if _, f := try(t, change{"protocol": "sftp", "host": "127.0.0.1", "port": port(s.full.Port), "username": s.full.Username,
					"password": s.full.Password, "host_key": r.Learned["host_key"]}, connectors.Env{}, 0); f != nil {
					t.Errorf("the learned key fails: %v", f)
				}
			}},
		{Name: "a failed login teaches nothing", Change: change{"host_key": nil, "host_key_policy": "accept-new", "password": "not-the-password"},
			Want: connectors.AuthFailed, Check: func(t *testing.T, r connectors.Report, _ *connectors.Failure) {
				if len(r.Learned) > 0 {
					t.Errorf("learned %v", r.Learned)
				}
			}},
		{Name: "an unchecked key is warned of", Change: change{"host_key": nil, "host_key_policy": "insecure"}, Warning: "hostkey_unverified"},
	}...)
}

func sftpPaths(s sshServers) []conformance.Case {
	return []conformance.Case{
		{Name: "a directory connects", Change: change{"base_path": "uploads äß"}},
		{Name: "a full path connects", Change: change{"base_path": s.full.Dir + "/uploads äß"}},
		{Name: "a missing directory", Change: change{"base_path": "/no/such"}, Want: connectors.PathMissing, Contain: `Path "/no/such" does not exist`},
		{Name: "a file for a directory", Change: change{"base_path": "/etc/passwd"}, Want: connectors.PathMissing, Contain: "not a directory"},
		{Name: "a directory that may not be listed", Change: change{"base_path": "closed"}, Want: connectors.PermissionDenied, Stage: connectors.StageVerify},
		{Name: "a directory that may not be seen", Change: change{"base_path": "closed/deeper"}, Want: connectors.PermissionDenied},
	}
}

func sftpInvalid(s sshServers) []conformance.Invalid {
	return []conformance.Invalid{
		{Name: "neither password nor key", Change: dropped("password"), Fields: []string{"password"}},
		{Name: "two private keys", Change: change{"private_key": s.stranger, "private_key_path": "key"}, Fields: []string{"private_key"}},
		{Name: "a private key that is none", Change: change{"private_key": "hello"}, Fields: []string{"private_key"}},
		{Name: "a private key file that is none", Change: change{"private_key_path": "not-a-key"}, Fields: []string{"private_key_path"}},
		{Name: "a private key file outside the roots", Change: change{"private_key_path": "/etc/ssl/private/key"}, Fields: []string{"private_key_path"}},
		{Name: "a directory as private key file", Change: change{"private_key_path": "."}, Fields: []string{"private_key_path"}},
		{Name: "a locked key without a passphrase", Change: change{"private_key": s.locked}, Fields: []string{"private_key_passphrase"}},
		{Name: "a locked key with another passphrase", Change: change{"private_key": s.locked, "private_key_passphrase": "open barley"},
			Fields: []string{"private_key_passphrase"}},
		{Name: "a passphrase without a key", Change: change{"private_key_passphrase": "open"}, Fields: []string{"private_key_passphrase"}},
		{Name: "a host key that is none", Change: change{"host_key": "hello"}, Fields: []string{"host_key"}},
		{Name: "a host key with a marker", Change: change{"host_key": "@revoked * " + s.full.HostKeys["ssh-rsa"]}, Fields: []string{"host_key"}},
		{Name: "a short fingerprint", Change: change{"host_key": "SHA256:abc"}, Fields: []string{"host_key"}},
		{Name: "an MD5 fingerprint", Change: change{"host_key": "MD5:aa:bb"}, Fields: []string{"host_key"}},
		{Name: "options of TLS", Change: change{"tls_mode": "implicit", "tls_skip_verify": true, "tls_server_name": "x"},
			Fields: []string{"tls_mode", "tls_skip_verify", "tls_server_name"}},
		{Name: "active mode", Change: change{"passive_mode": false}, Fields: []string{"passive_mode"}},
		{Name: "a timeout of an hour", Change: change{"timeout_seconds": float64(3600)}, Fields: []string{"timeout_seconds"}},
		{Name: "several faults at once", Change: change{"protocol": "scp", "host": "a b", "username": nil},
			Fields: []string{"protocol", "host", "username"}},
	}
}

func TestServersThatRefuseSSH(t *testing.T) {
	tests := []struct {
		banner string
		want   connectors.Code
	}{
		{"Exceeded MaxStartups\r\n", connectors.ServerBusy},
		{"Not allowed at this time\r\n", connectors.ServerBusy},
		{"220 mail.example.com ESMTP\r\n", connectors.ProtocolMismatch},
		{"\x15\x03\x03\x00\x02\x02\x28", connectors.ProtocolMismatch},
		{"hello, this is no server\r\n", connectors.ProtocolMismatch},
	}
	for _, tt := range tests {
		_, f := try(t, change{"protocol": "sftp", "host": "127.0.0.1", "port": port(testbed.BannerPeer(t, tt.banner)),
			"username": "u", "password": "p"}, connectors.Env{}, time.Second)
		if f == nil || f.Code != tt.want {
			t.Errorf("%q: got %v, want %s", tt.banner, f, tt.want)
		}
	}
}

func TestLargeDirectoryIsNotReadToItsEnd(t *testing.T) {
	s := testbed.StartSFTP(t, testbed.SFTPOptions{})
	fill(t, s.Dir, 6000)
	_, f := try(t, change{"protocol": "sftp", "host": "127.0.0.1", "port": port(s.Port), "username": s.Username, "password": s.Password,
		"host_key_policy": "accept-new"}, connectors.Env{}, 0)
	if f != nil {
		t.Errorf("not connected: %v", f)
	}
}

func fill(t *testing.T, dir string, n int) {
	t.Helper()
	name := strings.Repeat("x", 100)
	for i := range n {
		f, err := os.Create(filepath.Join(dir, name+string(rune('a'+i%26))+strings.Repeat("y", i/26%100)+strings.Repeat("z", i/2600)))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
}

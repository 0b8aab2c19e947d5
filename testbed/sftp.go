package testbed

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// SFTPOptions choose how an SSH server behaves. The zero value is one that
// takes passwords and keys and serves SFTP.
type SFTPOptions struct {
	NoSFTP     bool // lacks the subsystem: SSH without SFTP
	NoPassword bool // takes keys alone
	// KeyboardInteractive asks for the password by that method instead of the
	// method "password". Wrong ones are then delayed by about two seconds.
	KeyboardInteractive bool
}

// SFTP is a running OpenSSH server. It needs root, because it logs in as
// another system user.
type SFTP struct {
	*Running
	Port       int
	Username   string // the one user, whose password is NastyPassword
	Password   string
	PrivateKey string            // PEM of a key that may log in
	Dir        string            // where a session starts; the user's own
	HostKeys   map[string]string // key type, such as ssh-ed25519, to "type base64"
}

// sftpUser is the system user that install.sh makes.
const sftpUser = "backplane-sftp"

// StartSFTP starts an SSH server.
func StartSFTP(t TB, o SFTPOptions) *SFTP {
	t.Helper()
	home := Folder(t, sftpUser)
	s := &SFTP{Port: FreePort(t), Username: sftpUser, Password: NastyPassword, HostKeys: map[string]string{},
		Dir: filepath.Join(home, "files")}
	s.Mkdir(t, "", 0o755)
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		t.Fatalf("testbed: %v", err)
	}

	userKey := generateKey(t, func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) })
	s.PrivateKey = PrivateKeyPEM(t, userKey, "")
	Write(t, filepath.Join(home, "authorized_keys"), publicLine(t, userKey)+"\n")

	var c strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&c, format+"\n", args...) }
	line("ListenAddress 127.0.0.1:%d\nPidFile none\nStrictModes no\nLoginGraceTime 60", s.Port)
	line("AuthorizedKeysFile %s/authorized_keys\nPermitRootLogin no\nAllowUsers %s", home, sftpUser)
	line("X11Forwarding no\nAllowTcpForwarding no\nPrintMotd no\nMaxStartups 200")
	line("PasswordAuthentication %s", yesNo(!o.NoPassword && !o.KeyboardInteractive))
	line("KbdInteractiveAuthentication %s\nUsePAM %s", yesNo(o.KeyboardInteractive), yesNo(o.KeyboardInteractive))
	if !o.NoSFTP {
		line("Subsystem sftp internal-sftp -d %s", s.Dir)
	}
	for i, make := range hostKeyKinds() {
		key := generateKey(t, make)
		path := filepath.Join(home, fmt.Sprintf("host%d", i))
		if err := os.WriteFile(path, []byte(PrivateKeyPEM(t, key, "")), 0o600); err != nil {
			t.Fatalf("testbed: %v", err)
		}
		line("HostKey %s", path)
		public := publicLine(t, key)
		kind, _, _ := strings.Cut(public, " ")
		s.HostKeys[kind] = public
	}
	config := filepath.Join(home, "sshd_config")
	Write(t, config, c.String())
	// sshd starts itself anew for every connection, by its full path.
	s.Running = Start(t, Process{
		Path: "/usr/sbin/sshd", Args: []string{"-D", "-e", "-f", config}, Dir: home, Ready: Listening(s.Port),
	})
	return s
}

// Mkdir makes a folder below Dir that belongs to the user, with a mode.
func (s *SFTP) Mkdir(t TB, name string, mode os.FileMode) {
	t.Helper()
	mkdirFor(t, sftpUser, filepath.Join(s.Dir, name), mode)
}

// PrivateKeyPEM is a private key in OpenSSH's format, encrypted when there is
// a passphrase.
func PrivateKeyPEM(t TB, key crypto.PrivateKey, passphrase string) string {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	return string(pem.EncodeToMemory(block))
}

func hostKeyKinds() []func() (crypto.Signer, error) {
	return []func() (crypto.Signer, error){
		func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) },
		func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
		func() (crypto.Signer, error) {
			_, key, err := ed25519.GenerateKey(rand.Reader)
			return key, err
		},
	}
}

func generateKey(t TB, make func() (crypto.Signer, error)) crypto.Signer {
	t.Helper()
	key, err := make()
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	return key
}

// publicLine is a public key as "type base64".
func publicLine(t TB, key crypto.Signer) string {
	t.Helper()
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

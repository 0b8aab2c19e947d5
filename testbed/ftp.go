package testbed

import (
	"fmt"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// FTPOptions choose how an FTP server behaves. The zero value is one without
// TLS.
type FTPOptions struct {
	Cert        *Cert // offers AUTH TLS with it; nil for none
	RequireTLS  bool  // refuses logins and data in clear; needs Cert
	ImplicitTLS bool  // speaks TLS from the first byte; needs Cert
	// NoSessionReuse takes data connections that do not resume the control
	// connection's TLS session, which are refused otherwise.
	NoSessionReuse bool
	TLS12          bool // speaks TLS 1.2 at most
	Tickets        bool // resumes TLS 1.2 sessions by ticket, not only by their number
	MaxClients     int  // refuses further logins; 0 for no limit
}

// FTP is a running ProFTPD with one virtual user, locked into a folder.
type FTP struct {
	*Running
	Port     int
	Username string // its password is NastyPassword
	Password string
	Dir      string // what the user sees as "/"
}

// ftpUser is the system user of Debian's ProFTPD packages.
const ftpUser = "proftpd"

// StartFTP starts an FTP server.
func StartFTP(t TB, o FTPOptions) *FTP {
	t.Helper()
	home := Folder(t, ftpUser)
	s := &FTP{Port: FreePort(t), Username: "transfer", Password: NastyPassword, Dir: filepath.Join(home, "files")}
	s.Mkdir(t, "", 0o755)
	uid, gid := ids(t, ftpUser)
	users := filepath.Join(home, "users")
	hash := Run(t, Process{Path: "perl", Dir: home, Args: []string{"-e", `print crypt($ARGV[0], '$6$backplane$')`, s.Password}})
	Write(t, users, fmt.Sprintf("%s:%s:%d:%d::%s:/bin/false\n", s.Username, hash, uid, gid, s.Dir))
	if err := os.Chmod(users, 0o600); err != nil {
		t.Fatalf("testbed: %v", err)
	}
	config := filepath.Join(home, "proftpd.conf")
	Write(t, config, proftpdConfig(t, home, s, o))
	s.Running = Start(t, Process{
		Path: "/usr/sbin/proftpd", Args: []string{"-n", "-q", "-c", config}, Dir: home, Ready: Listening(s.Port),
		Stop: syscall.SIGKILL, // it has nothing to save, and ends slowly when asked
	})
	return s
}

func proftpdConfig(t TB, home string, s *FTP, o FTPOptions) string {
	t.Helper()
	var c strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&c, format+"\n", args...) }
	if o.Cert != nil {
		line("ModulePath /usr/lib/proftpd\nLoadModule mod_tls.c")
	}
	line("ServerType standalone\nServerName Testbed\nDefaultAddress 127.0.0.1\nSocketBindTight on\nPort %d", s.Port)
	line("User %s\nGroup nogroup\nUseIPv6 off\nUseReverseDNS off\nUmask 022", ftpUser)
	line("PidFile %[1]s/pid\nScoreboardFile %[1]s/scoreboard\nDelayTable none\nDelayEngine off\nWtmpLog off\nTransferLog none\nSystemLog %[1]s/log", home)
	line("AuthOrder mod_auth_file.c\nAuthUserFile %s/users\nRequireValidShell off\nAuthPAM off\nDefaultRoot ~", home)
	if o.MaxClients > 0 {
		line("MaxClients %d", o.MaxClients)
	}
	if o.Cert == nil {
		return c.String()
	}
	cert, key := o.Cert.Files(t, home, "server", "")
	line("TLSEngine on\nTLSECCertificateFile %s\nTLSECCertificateKeyFile %s\nTLSVerifyClient off", cert, key)
	line("TLSLog none\nTLSRenegotiate none")
	if o.RequireTLS {
		line("TLSRequired on")
	}
	if o.TLS12 {
		line("TLSProtocol TLSv1.2")
	}
	if o.Tickets {
		line("TLSSessionTickets on")
	}
	var options []string
	if o.ImplicitTLS {
		options = append(options, "UseImplicitSSL")
	}
	if o.NoSessionReuse {
		options = append(options, "NoSessionReuseRequired")
	}
	if len(options) > 0 {
		line("TLSOptions %s", strings.Join(options, " "))
	}
	return c.String()
}

// Mkdir makes a folder below Dir that belongs to the user, with a mode.
func (s *FTP) Mkdir(t TB, name string, mode os.FileMode) {
	t.Helper()
	mkdirFor(t, ftpUser, filepath.Join(s.Dir, name), mode)
}

// HoldLogin logs in and stays until the test ends, taking one of MaxClients.
func (s *FTP) HoldLogin(t TB) {
	t.Helper()
	c, err := textproto.Dial("tcp", Addr(s.Port))
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	for _, step := range []struct {
		command string
		code    int
	}{{"", 220}, {"USER " + s.Username, 331}, {"PASS " + s.Password, 230}} {
		if step.command != "" {
			if err := c.PrintfLine("%s", step.command); err != nil {
				t.Fatalf("testbed: %v", err)
			}
		}
		if _, _, err := c.ReadResponse(step.code); err != nil {
			t.Fatalf("testbed: %v", err)
		}
	}
}

// mkdirFor makes a folder that belongs to a system user.
func mkdirFor(t TB, owner, path string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatalf("testbed: %v", err)
	}
	uid, gid := ids(t, owner)
	if os.Getuid() == 0 {
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatalf("testbed: %v", err)
		}
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatalf("testbed: %v", err)
	}
}

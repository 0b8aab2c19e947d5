package testbed

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// SMTPOptions choose how an SMTP server behaves. The zero value is a server
// without TLS and without logins that takes any sender.
type SMTPOptions struct {
	Cert        *Cert    // offers STARTTLS with it; nil for none
	ImplicitTLS bool     // speaks TLS from the first byte; needs Cert
	Mechanisms  []string // logins offered: PLAIN, LOGIN, CRAM-MD5, XOAUTH2
	AuthOnlyTLS bool     // offers logins only once encrypted
	RequireTLS  bool     // refuses a sender with 530 until encrypted
	RequireAuth bool     // refuses a sender with 530 until logged in
	// RefuseSender is an address that nobody may send as.
	RefuseSender string
	// Greeting, when set, is the refusal every client is greeted with, code
	// included, such as "554 No SMTP service here".
	Greeting string
}

// SMTP is a running Exim. It takes no recipient, so that nothing is ever
// delivered or even queued.
type SMTP struct {
	*Running
	Port     int
	Username string // the one user, whose password is NastyPassword
	Password string
}

// eximUser is the system user of Debian's Exim packages.
const eximUser = "Debian-exim"

// StartSMTP starts an SMTP server.
func StartSMTP(t TB, o SMTPOptions) *SMTP {
	t.Helper()
	s := &SMTP{Port: FreePort(t), Username: "mailer@example.com", Password: NastyPassword}
	dir := Folder(t, eximUser)
	config := filepath.Join(dir, "exim.conf")
	Write(t, config, eximConfig(t, dir, s, o))
	if os.Getuid() == 0 {
		// Exim trusts only a configuration that nobody but root can change.
		if err := os.Chown(dir, 0, 0); err != nil {
			t.Fatalf("testbed: %v", err)
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatalf("testbed: %v", err)
		}
	}
	s.Running = Start(t, Process{
		Path: "exim4", Dir: dir,
		Args:  []string{"-C", config, "-bdf", "-oX", fmt.Sprintf("<; [127.0.0.1]:%d", s.Port)},
		Ready: Listening(s.Port),
	})
	return s
}

func eximConfig(t TB, dir string, s *SMTP, o SMTPOptions) string {
	t.Helper()
	var c strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&c, format+"\n", args...) }

	for _, sub := range []string{"spool", "log"} {
		path := filepath.Join(dir, sub)
		if err := os.Mkdir(path, 0o750); err != nil {
			t.Fatalf("testbed: %v", err)
		}
		if os.Getuid() == 0 {
			uid, gid := ids(t, eximUser)
			if err := os.Chown(path, uid, gid); err != nil {
				t.Fatalf("testbed: %v", err)
			}
		}
	}
	line("primary_hostname = mail.example.com")
	line("spool_directory = %s/spool", dir)
	line("log_file_path = %s/log/%%slog", dir)
	line("pid_file_path = %s/exim.pid", dir)
	line("host_lookup =\nrfc1413_query_timeout = 0s\nkeep_environment =\nqueue_only = true")
	line("acl_smtp_connect = connect\nacl_smtp_mail = mail")
	if o.Cert == nil {
		line("tls_advertise_hosts =")
	} else {
		cert, key := o.Cert.Files(t, dir, "server", eximUser)
		line("tls_advertise_hosts = *\ntls_certificate = %s\ntls_privatekey = %s", cert, key)
	}
	if o.ImplicitTLS {
		line("tls_on_connect_ports = %d", s.Port)
	}
	switch {
	case len(o.Mechanisms) == 0:
		line("auth_advertise_hosts =")
	case o.AuthOnlyTLS:
		line("auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}")
	default:
		line("auth_advertise_hosts = *")
	}
	line("\nbegin acl\nconnect:")
	if o.Greeting != "" {
		line("  deny message = %s", o.Greeting)
	}
	line("  accept\nmail:")
	if o.RequireTLS {
		line("  deny !encrypted = *\n    message = 530 5.7.0 Must issue a STARTTLS command first")
	}
	if o.RequireAuth {
		line("  deny !authenticated = *\n    message = 530 5.7.0 Authentication required")
	}
	if o.RefuseSender != "" {
		line("  deny senders = %s\n    message = 550 5.7.1 Sender address not owned by you", o.RefuseSender)
	}
	line("  accept")
	line("\nbegin authenticators")
	for _, m := range o.Mechanisms {
		line("%s", eximAuthenticator(t, m, s))
	}
	return c.String()
}

// eximAuthenticator is the driver for one login method. The password is given
// in base64, which needs no quoting.
func eximAuthenticator(t TB, mechanism string, s *SMTP) string {
	t.Helper()
	password := "${base64d:" + base64.StdEncoding.EncodeToString([]byte(s.Password)) + "}"
	pair := func(user, pass string) string {
		return fmt.Sprintf("${if and{{eq{%s}{%s}}{eq{%s}{%s}}}}", user, s.Username, pass, password)
	}
	switch mechanism {
	case "PLAIN":
		return "plain:\n driver = plaintext\n public_name = PLAIN\n server_prompts = :\n" +
			" server_set_id = $auth2\n server_condition = " + pair("$auth2", "$auth3")
	case "LOGIN":
		return "login:\n driver = plaintext\n public_name = LOGIN\n server_prompts = Username:: : Password::\n" +
			" server_set_id = $auth1\n server_condition = " + pair("$auth1", "$auth2")
	case "CRAM-MD5":
		return "cram:\n driver = cram_md5\n public_name = CRAM-MD5\n server_set_id = $auth1\n" +
			fmt.Sprintf(" server_secret = ${if eq{$auth1}{%s}{%s}fail}", s.Username, password)
	case "XOAUTH2":
		token := base64.StdEncoding.EncodeToString([]byte("user=" + s.Username + "\x01auth=Bearer " + s.Password + "\x01\x01"))
		return "xoauth:\n driver = plaintext\n public_name = XOAUTH2\n server_prompts = :\n" +
			fmt.Sprintf(" server_condition = ${if eq{${base64:$auth1}}{%s}}", token)
	}
	t.Fatalf("testbed: no such login method: %s", mechanism)
	return ""
}

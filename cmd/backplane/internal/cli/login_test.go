package cli

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/backplane/backplane/testbed"
)

func write(t *testing.T, path, content string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// places are the files that logins come from.
type places struct{ dir, tokenFile, data, open, link string }

func newPlaces(t *testing.T) places {
	t.Helper()
	dir := t.TempDir()
	p := places{
		dir: dir, tokenFile: write(t, filepath.Join(dir, "token"), "bp_file\n", 0o600),
		data: filepath.Join(dir, "data"), open: filepath.Join(dir, "open"), link: filepath.Join(dir, "link"),
	}
	for _, d := range []string{p.data, p.open, p.link} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	first := write(t, filepath.Join(p.data, "admin-password"), "first-start\n", 0o600)
	write(t, filepath.Join(p.open, "admin-password"), "for-all-to-read\n", 0o644)
	if err := os.Symlink(first, filepath.Join(p.link, "admin-password")); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestLogin is which credentials are used, by what there is.
func TestLogin(t *testing.T) {
	p := newPlaces(t)
	both := map[string]string{"BACKPLANE_TOKEN": "bp_env", "BACKPLANE_PASSWORD": "from env"}
	for name, tt := range map[string]struct {
		env   map[string]string
		args  []string
		input string
		want  string // the header, or what the error says after "!"
	}{
		"token of the environment":      {both, nil, "", "Bearer bp_env"},
		"a user is named":               {both, []string{"--username", "ann"}, "", basic("ann", "from env")},
		"a user in the environment":     {map[string]string{"BACKPLANE_USERNAME": "ann", "BACKPLANE_PASSWORD": "pä:ss"}, nil, "", basic("ann", "pä:ss")},
		"password alone":                {map[string]string{"BACKPLANE_PASSWORD": "p"}, nil, "", basic("admin", "p")},
		"password on stdin":             {both, []string{"--password-stdin"}, " piped \r\nmore\n", basic("admin", " piped ")},
		"password on stdin, unfinished": {nil, []string{"--password-stdin", "--username", "ann"}, "piped", basic("ann", "piped")},
		"token in a file":               {both, []string{"--token-file", p.tokenFile}, "", "Bearer bp_file"},
		"token on stdin":                {nil, []string{"--token-file", "-"}, "bp_in\n", "Bearer bp_in"},
		"the first start's password":    {nil, []string{"--data-dir", p.data}, "", basic("admin", "first-start")},
		"directory in the environment":  {map[string]string{"BACKPLANE_DATA_DIR": p.data}, nil, "", basic("admin", "first-start")},
		"it is not another user's":      {nil, []string{"--data-dir", p.data, "--username", "ann"}, "", "!no way to log in"},
		"it is for this machine":        {nil, []string{"--data-dir", p.data, "--server", "example.invalid:9", "--tls"}, "", "!no way to log in"},
		"it is not for all to read":     {nil, []string{"--data-dir", p.open}, "", "!no way to log in"},
		"it is not a link":              {nil, []string{"--data-dir", p.link}, "", "!no way to log in"},
		"nothing":                       {nil, nil, "", "!no way to log in: set BACKPLANE_TOKEN or BACKPLANE_PASSWORD"},
		"empty stdin":                   {nil, []string{"--password-stdin"}, "", "!no line with the password"},
		"an endless line":               {nil, []string{"--password-stdin"}, strings.Repeat("x", 10_000), "!buffer full"},
		"no token file":                 {nil, []string{"--token-file", filepath.Join(p.dir, "missing")}, "", "!--token-file: open"},
		"a directory":                   {nil, []string{"--token-file", p.dir}, "", "!is a directory"},
		"an empty token file":           {nil, []string{"--token-file", "/dev/null"}, "", "!there is no token in /dev/null"},
		"something else":                {nil, []string{"--token-file", "/dev/zero"}, "", "!too large"},
		"a token with a line break":     {map[string]string{"BACKPLANE_TOKEN": "bp_a\r\nx: y"}, nil, "", "!there is no token in BACKPLANE_TOKEN"},
		"a name with a colon":           {both, []string{"--username", "a:b"}, "", "!must not contain a colon"},
		"in the clear to others":        {both, []string{"--server", "192.0.2.1:9"}, "", "!shows the password or token to others"},
		"in the clear by name":          {both, []string{"--server", "example.invalid:9"}, "", "!shows the password or token to others"},
		"no port":                       {both, []string{"--server", "localhost"}, "", `!--server "localhost" must be host:port`},
	} {
		t.Run(name, func(t *testing.T) {
			bare(t)
			f := serve(t)
			f.answers = answers()
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			if tt.env["BACKPLANE_DATA_DIR"] == "" {
				t.Chdir(t.TempDir()) // there may be a ./data here
			}
			r := runWith(t.Context(), strings.NewReader(tt.input), append([]string{"whoami", "--server", f.addr}, tt.args...)...)
			if want, fails := strings.CutPrefix(tt.want, "!"); fails {
				if r.err == nil || !strings.Contains(r.err.Error(), want) {
					t.Errorf("got %v, want %q", r.err, want)
				}
				if len(f.calls) > 0 {
					t.Error("it called nevertheless")
				}
				return
			}
			if r.err != nil {
				t.Fatal(r.err)
			}
			if got := f.last(t).authorization; got != tt.want {
				t.Errorf("logged in with %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	bare(t)
	t.Setenv("BACKPLANE_TOKEN", "bp_test")
	dir, ca := t.TempDir(), testbed.NewCA(t)
	authority := write(t, filepath.Join(dir, "ca.pem"), ca.PEM, 0o600)
	cert, key := ca.Issue(t, "client").Files(t, dir, "client", "")
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(ca.PEM))
	f := serve(t, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{ca.Issue(t, "backplane.example").TLS(t)},
		ClientCAs:    pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
	})))
	f.answers = answers()
	all := []string{"--tls-ca", authority, "--tls-server-name", "backplane.example", "--client-cert", cert, "--client-key", key}
	for name, tt := range map[string]struct {
		args []string
		want string // of the error
	}{
		"all is well":           {all, ""},
		"no client certificate": {all[:4], "cannot reach the server"},
		"another name":          {append(all[:2:2], all[4:]...), "cannot reach the server"},
		"the system's trust":    {append([]string{"--tls"}, all[2:]...), "certificate signed by unknown authority"},
		"no TLS":                {nil, "if it serves TLS, see --tls and --tls-ca"},
		"no authority":          {[]string{"--tls-ca", key}, "no PEM certificate in it"},
	} {
		r := runWith(t.Context(), strings.NewReader(""), append([]string{"whoami", "--server", f.addr}, tt.args...)...)
		if tt.want == "" && r.err != nil || tt.want != "" && (r.err == nil || !strings.Contains(r.err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", name, r.err, tt.want)
		}
	}
	if len(f.calls) != 1 {
		t.Errorf("%d calls came through, want 1", len(f.calls))
	}
}

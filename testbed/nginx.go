package testbed

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
)

// NginxOptions says what an nginx should be like.
type NginxOptions struct {
	// Server are lines of the server block: locations and so on.
	Server []string
	Cert   *Cert // adds a port with TLS
	// ClientCA is the authority of certificates that clients may show there.
	ClientCA *CA
	// Files are put into the folder that locations are in, by name.
	Files map[string]string
}

// Nginx is a running nginx. It knows what has gone wrong by Log.
type Nginx struct {
	*Running
	process Process
	Port    int
	TLSPort int // 0 without Cert
}

// StartNginx starts nginx until t ends.
func StartNginx(t TB, o NginxOptions) *Nginx {
	t.Helper()
	dir := Folder(t, "")
	for name, content := range o.Files {
		Write(t, filepath.Join(dir, name), content)
	}
	s := &Nginx{Port: FreePort(t)}
	server := []string{fmt.Sprintf("listen 127.0.0.1:%d;", s.Port), "root " + dir + ";"}
	if o.Cert != nil {
		cert, key := o.Cert.Files(t, dir, "server", "")
		s.TLSPort = FreePort(t)
		server = append(server, fmt.Sprintf("listen 127.0.0.1:%d ssl;", s.TLSPort),
			"ssl_certificate "+cert+";", "ssl_certificate_key "+key+";")
	}
	if o.ClientCA != nil {
		file := filepath.Join(dir, "client-ca.crt")
		Write(t, file, o.ClientCA.PEM)
		server = append(server, "ssl_client_certificate "+file+";", "ssl_verify_client optional;")
	}
	lines := []string{"daemon off;", "master_process off;", "error_log stderr warn;", "pid " + dir + "/pid;",
		"events { worker_connections 512; }", "http {", "access_log off;"}
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		lines = append(lines, fmt.Sprintf("%s_temp_path %s/%[1]s;", kind, dir))
	}
	lines = append(append(append(lines, "server {"), append(server, o.Server...)...), "}", "}")
	file := filepath.Join(dir, "nginx.conf")
	Write(t, file, strings.Join(lines, "\n")+"\n")
	s.process = Process{
		Path: "nginx", Args: []string{"-p", dir, "-c", file, "-e", "stderr"}, Dir: dir, Ready: Listening(s.Port),
		Stop: syscall.SIGTERM,
	}
	s.Running = Start(t, s.process)
	return s
}

// URL is where it is without TLS.
func (s *Nginx) URL() string { return "http://" + Addr(s.Port) }

// SecureURL is where it is with TLS.
func (s *Nginx) SecureURL() string { return "https://" + Addr(s.TLSPort) }

// Restart stops the server if it runs and starts it again on the same ports.
func (s *Nginx) Restart(t TB) {
	t.Helper()
	s.Close()
	s.Running = Start(t, s.process)
}

package testbed

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// MemcachedOptions says what a memcached server should be like. The zero value
// is a server without login and TLS.
type MemcachedOptions struct {
	// Users makes the server want a login with one of these names and
	// passwords: over the text protocol, which ends a password at a space or
	// colon, or with SASL over SASL PLAIN.
	Users    map[string]string
	SASL     bool
	Cert     *Cert    // TLS with this certificate, and no plain port
	ClientCA *CA      // wants a client certificate of this authority
	Args     []string // further arguments
}

// Memcached is a running memcached server.
type Memcached struct {
	*Running
	Port int
}

// StartMemcached starts memcached until t ends.
func StartMemcached(t TB, o MemcachedOptions) *Memcached {
	t.Helper()
	dir := Folder(t, "memcache")
	s := &Memcached{Port: FreePort(t)}
	args := []string{"-l", "127.0.0.1", "-p", strconv.Itoa(s.Port), "-U", "0", "-m", "16", "-t", "1"}
	var env []string
	switch {
	case o.SASL:
		env = saslDB(t, dir, o.Users)
		args = append(args, "-S")
	case len(o.Users) > 0:
		var lines strings.Builder
		for name, password := range o.Users {
			lines.WriteString(name + ":" + password + "\n")
		}
		file := filepath.Join(dir, "users")
		Write(t, file, lines.String())
		args = append(args, "-Y", file)
	}
	if o.Cert != nil {
		cert, key := o.Cert.Files(t, dir, "server", "memcache")
		args = append(args, "-Z", "-o", "ssl_chain_cert="+cert, "-o", "ssl_key="+key)
		if o.ClientCA != nil {
			ca := filepath.Join(dir, "client-ca.crt")
			Write(t, ca, o.ClientCA.PEM)
			args = append(args, "-o", "ssl_verify_mode=2", "-o", "ssl_ca_cert="+ca)
		}
	}
	s.Running = Start(t, Process{
		Path: "memcached", Args: append(args, o.Args...), Dir: dir, User: "memcache", Env: env, Ready: Listening(s.Port),
		Stop: syscall.SIGKILL, // it keeps nothing, and takes a second to end otherwise
	})
	return s
}

// saslDB writes a SASL configuration and its password database into dir and
// returns the environment that makes a server use them.
func saslDB(t TB, dir string, users map[string]string) []string {
	t.Helper()
	db := filepath.Join(dir, "sasldb2")
	Write(t, filepath.Join(dir, "memcached.conf"),
		"mech_list: plain\npwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: "+db+"\n")
	host, err := os.Hostname()
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	for name, password := range users {
		file := filepath.Join(dir, "password")
		Write(t, file, password)
		Run(t, Process{Path: "/bin/sh", Args: []string{"-c", `saslpasswd2 -p -c -f "$1" -a memcached -u "$2" "$3" <"$4"`, "sh", db, host, name, file}, Dir: dir, User: "memcache"})
	}
	return []string{"SASL_CONF_PATH=" + dir}
}

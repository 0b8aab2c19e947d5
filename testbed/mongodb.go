package testbed

import "path/filepath"

// MongoDBOptions says what a MongoDB server should be like. The zero value
// serves plain connections alone.
type MongoDBOptions struct {
	Cert *Cert // adds a TLS port with this certificate
	// Password of the administrator; NastyPassword when empty.
	Password string
}

// MongoDB is a running server that speaks MongoDB's protocol: FerretDB, which
// keeps its data in SQLite files. It has no replica sets and no roles.
type MongoDB struct {
	*Running
	Port     int
	TLSPort  int    // 0 without Cert
	Username string // of the administrator, known to the database admin
	Password string
}

// StartMongoDB starts the FerretDB that install.sh built, until t ends.
func StartMongoDB(t TB, o MongoDBOptions) *MongoDB {
	t.Helper()
	dir := Folder(t, "")
	s := &MongoDB{Port: FreePort(t), Username: "backplane", Password: o.Password}
	if s.Password == "" {
		s.Password = NastyPassword
	}
	args := []string{
		"--handler=sqlite", "--sqlite-url=file:" + dir + "/", "--state-dir=" + dir, "--telemetry=disable",
		"--listen-addr=" + Addr(s.Port), "--debug-addr=-", "--log-level=WARN", "--test-enable-new-auth",
		"--setup-database=admin", "--setup-username=" + s.Username,
	}
	if o.Cert != nil {
		s.TLSPort = FreePort(t)
		cert, key := o.Cert.Files(t, dir, "server", "")
		args = append(args, "--listen-tls="+Addr(s.TLSPort), "--listen-tls-cert-file="+cert, "--listen-tls-key-file="+key)
	}
	s.Running = Start(t, Process{
		Path: Built(t, "ferretdb"), Args: args, Dir: filepath.Clean(dir),
		Env:   []string{"FERRETDB_SETUP_PASSWORD=" + s.Password},
		Ready: Listening(s.Port),
	})
	return s
}

package tlsconf

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backplane/backplane/testbed"
)

// stock is a directory with good and bad files.
type stock struct {
	dir                 string
	ca                  *testbed.CA
	cert, key, otherKey string
	authority           string
}

func newStock(t *testing.T) stock {
	t.Helper()
	s := stock{dir: t.TempDir(), ca: testbed.NewCA(t)}
	s.cert, s.key = s.ca.Issue(t, "127.0.0.1", "localhost").Files(t, s.dir, "server", "")
	_, s.otherKey = s.ca.Issue(t, "127.0.0.1").Files(t, s.dir, "other", "")
	s.authority = s.write(t, "authority.pem", s.ca.PEM)
	return s
}

func (s stock) write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCheckNamesEveryFault(t *testing.T) {
	s := newStock(t)
	missing, empty := filepath.Join(s.dir, "missing"), s.write(t, "empty", "")
	prose := s.write(t, "prose", "this is no PEM\n")
	large := s.write(t, "large", strings.Repeat("x", maxFile+1))
	damaged := s.write(t, "damaged", s.ca.PEM+"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	locked := s.write(t, "locked", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
	for name, tt := range map[string]struct {
		files Files
		want  []string
	}{
		"certificate without key":   {Files{Cert: s.cert}, []string{"certificate " + s.cert + " is set without its key"}},
		"key without certificate":   {Files{Key: s.key}, []string{"key " + s.key + " is set without its certificate"}},
		"authority alone":           {Files{ClientCA: s.authority}, []string{"a client authority needs a certificate and a key as well"}},
		"missing certificate":       {Files{Cert: missing, Key: s.key}, []string{"certificate " + missing + ": no such file or directory"}},
		"missing key":               {Files{Cert: s.cert, Key: missing}, []string{"key " + missing + ": no such file or directory"}},
		"missing authority":         {Files{Cert: s.cert, Key: s.key, ClientCA: missing}, []string{"client authority " + missing + ": no such file or directory"}},
		"a directory":               {Files{Cert: s.dir, Key: s.key}, []string{"certificate " + s.dir + ": not a regular file"}},
		"a device":                  {Files{Cert: s.cert, Key: "/dev/zero"}, []string{"key /dev/zero: not a regular file"}},
		"an empty file":             {Files{Cert: empty, Key: s.key}, []string{"certificate " + empty + ": empty"}},
		"a large file":              {Files{Cert: large, Key: s.key}, []string{"certificate " + large + ": larger than 1 MiB"}},
		"no PEM certificate":        {Files{Cert: prose, Key: s.key}, []string{"certificate " + prose + ": no PEM certificate in it"}},
		"a damaged certificate":     {Files{Cert: damaged, Key: s.key}, []string{"certificate " + damaged + ": certificate 2 is damaged"}},
		"no PEM key":                {Files{Cert: s.cert, Key: prose}, []string{"key " + prose + ": no PEM private key without a passphrase"}},
		"a key with a passphrase":   {Files{Cert: s.cert, Key: locked}, []string{"key " + locked + ": no PEM private key without a passphrase"}},
		"swapped":                   {Files{Cert: s.key, Key: s.cert}, []string{"certificate " + s.key + ": no PEM certificate in it"}},
		"another certificate's key": {Files{Cert: s.cert, Key: s.otherKey}, []string{"certificate " + s.cert + " and key " + s.otherKey + " do not belong together"}},
		"a damaged authority":       {Files{Cert: s.cert, Key: s.key, ClientCA: damaged}, []string{"client authority " + damaged + ": certificate 2 is damaged"}},
		"an unknown mode":           {Files{Cert: s.cert, Key: s.key, ClientCA: s.authority, Auth: "maybe"}, []string{`client certificates can be required or optional, not "maybe"`}},
		"several at once": {Files{Cert: missing, ClientCA: prose, Auth: "maybe"}, []string{
			"is set without its key", "certificate " + missing + ": no such file", "client authority " + prose + ": no PEM certificate", `not "maybe"`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.files.Check()
			if err == nil {
				t.Fatal("no fault found")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("fault %q does not say %q", err, want)
				}
			}
			if got := len(strings.Split(err.Error(), "\n")); got != len(tt.want) {
				t.Errorf("%d faults, want %d: %v", got, len(tt.want), err)
			}
			if l, err := Listen(t.Context(), "127.0.0.1:0", Options{Files: tt.files}); err == nil {
				t.Errorf("listens nevertheless on %v", l.Addr())
			}
		})
	}
}

func TestCheckAcceptsWhatTLSAccepts(t *testing.T) {
	s := newStock(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := s.write(t, "pkcs1.key", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
	for name, files := range map[string]Files{
		"nothing":            {},
		"a pair":             {Cert: s.cert, Key: s.key},
		"with an authority":  {Cert: s.cert, Key: s.key, ClientCA: s.authority},
		"optional, in words": {Cert: s.cert, Key: s.key, ClientCA: s.authority, Auth: Optional},
		"required, in words": {Cert: s.cert, Key: s.key, ClientCA: s.authority, Auth: Required},
		"mode, no authority": {Cert: s.cert, Key: s.key, Auth: Optional},
		"mode alone":         {Auth: Required},
	} {
		if err := files.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The kind of key is not what is wrong with it.
	if err := (Files{Cert: s.cert, Key: pkcs1}).Check(); err == nil || !strings.Contains(err.Error(), "do not belong together") {
		t.Errorf("RSA key of another certificate: %v", err)
	}
}

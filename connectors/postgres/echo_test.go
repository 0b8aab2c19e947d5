package postgres_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/testbed"
)

// TestVerifierIsNotSaidBack: a pooler that says back the statement which it
// refuses tells neither the password nor what the server keeps of it.
func TestVerifierIsNotSaidBack(t *testing.T) {
	t.Parallel()
	pg := testbed.StartPostgres(t, testbed.PostgresOptions{})
	said := make(chan string, 10)
	echo := echoing(t, testbed.Addr(pg.Port), "SCRAM-SHA-256$", said)
	admin := adminOf(pg, pg.User, pg.Password)
	admin["port"] = float64(echo.Addr().(*net.TCPAddr).Port)
	s := openServer(t, admin)
	if err := s.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	l := connectors.Login{Database: "shop", User: "u_shop", Password: "a-long-Secret-1", Privilege: connectors.Owner}
	for range 2 { // of a new database, and of one that is looked at first
		err := s.PutLogin(t.Context(), l)
		if err == nil {
			t.Fatal("the login was made")
		}
		statement := <-said
		for len(said) > 0 { // it was tried in another way
			statement = <-said
		}
		_, rest, _ := strings.Cut(statement, "SCRAM-SHA-256$4096:")
		verifier, _, _ := strings.Cut(rest, "'")
		secrets := strings.FieldsFunc(verifier, func(r rune) bool { return r == '$' || r == ':' })
		if len(secrets) != 3 || !strings.Contains(err.Error(), "refused: CREATE ROLE") {
			t.Fatalf("%q is answered with %v", statement, err)
		}
		for _, secret := range append(secrets, l.Password, verifier) {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%v tells %q", err, secret)
			}
		}
	}
}

// echoing is a server in front of another one, which refuses the statements that
// contain a word, and says them back.
func echoing(t *testing.T, behind, word string, said chan<- string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", behind)
			if err != nil {
				client.Close()
				return
			}
			go func() {
				io.Copy(client, server) //nolint:errcheck // until one of them hangs up
				client.Close()
			}()
			go func() {
				relay(client, server, word, said) //nolint:errcheck // until one of them hangs up
				server.Close()
			}()
		}
	}()
	return l
}

// relay passes on what a client says, but for the statements with the word.
func relay(client io.ReadWriter, server io.Writer, word string, said chan<- string) error {
	for begun := false; ; {
		head := make([]byte, 5)
		if !begun {
			head = head[:4] // what comes first has no type
		}
		if _, err := io.ReadFull(client, head); err != nil {
			return err
		}
		body := make([]byte, binary.BigEndian.Uint32(head[len(head)-4:])-4)
		if _, err := io.ReadFull(client, body); err != nil {
			return err
		}
		if begun && head[0] == 'Q' && bytes.Contains(body, []byte(word)) {
			statement := strings.TrimRight(string(body), "\x00")
			said <- statement
			if _, err := io.WriteString(client, refused(statement)); err != nil {
				return err
			}
			continue
		}
		// The question for TLS is followed by the true beginning.
		begun = begun || binary.BigEndian.Uint32(body) == 3<<16
		if _, err := server.Write(append(head, body...)); err != nil {
			return err
		}
	}
}

// refused is the refusal of a statement, in no transaction.
func refused(statement string) string {
	frame := func(typ byte, body string) string {
		return string(binary.BigEndian.AppendUint32([]byte{typ}, uint32(len(body)+4))) + body
	}
	return frame('E', fmt.Sprintf("SERROR\x00C42601\x00Mrefused: %s\x00\x00", statement)) + frame('Z', "I")
}

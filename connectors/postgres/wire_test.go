package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/backplane/backplane/connectors"
)

// script is a connection whose server says prepared bytes, then closes.
type script struct {
	net.Conn
	in io.Reader
}

func (s script) Read(b []byte) (int, error)  { return s.in.Read(b) }
func (s script) Write(b []byte) (int, error) { return len(b), nil }
func (s script) Close() error                { return nil }

func message(typ byte, body string) string {
	return string(binary.BigEndian.AppendUint32([]byte{typ}, uint32(len(body)+4))) + body
}

func refusal(fields ...string) string {
	return message('E', strings.Join(fields, "\x00")+"\x00\x00")
}

// scripted runs a login and a query against a server that says prepared bytes.
func scripted(t testing.TB, said []byte) *connectors.Failure {
	t.Helper()
	c, faults := New().Spec().Validate(map[string]any{"host": "h", "database": "d", "username": "u", "password": "secret"}, connectors.Env{})
	if faults != nil {
		t.Fatal(faults)
	}
	_, f := connectors.Run(t.Context(), scriptedConnector{said}, c, connectors.Env{}, time.Second)
	return f
}

type scriptedConnector struct{ said []byte }

func (scriptedConnector) Spec() connectors.Spec { return New().Spec() }

func (s scriptedConnector) Test(_ context.Context, p *connectors.Probe, c connectors.Config) error {
	p.Enter(connectors.StageGreeting)
	a := &attempt{conn: newWire(script{in: bytes.NewReader(s.said)})}
	if err := a.conn.login(p, c, false); err != nil {
		return translate(err, a, c)
	}
	return translate(verify(p, a), a, c)
}

func TestScriptedServers(t *testing.T) {
	const (
		ok    = "R\x00\x00\x00\x08\x00\x00\x00\x00"
		ready = "Z\x00\x00\x00\x05I"
	)
	row := message('D', "\x00\x01\x00\x00\x00\x02ok")
	for name, tc := range map[string]struct {
		said string
		want connectors.Code
	}{
		"a server without the functions":     {ok + ready + refusal("SERROR", "C42883", "Mno function") + ready + row + ready, ""},
		"a pooler whose server is down":      {ok + ready + refusal("SFATAL", "C08006", "Mserver down"), connectors.ServerBusy},
		"a shutdown":                         {ok + refusal("SFATAL", "C57P01", "Mterminating"), connectors.ServerBusy},
		"a start":                            {refusal("SFATAL", "C57P03", "Mstarting up"), connectors.ServerBusy},
		"a failing fork":                     {"Ecould not fork new process\n\x00", connectors.ServerBusy},
		"a pooler that wants TLS":            {refusal("SFATAL", "C08P01", "MSSL required"), connectors.TLSRequired},
		"a pooler that lacks the database":   {refusal("SFATAL", "C08P01", "Mno such database: d"), connectors.DatabaseMissing},
		"a pooler that lacks the user":       {refusal("SFATAL", "C08P01", "Mno such user: u"), connectors.AuthFailed},
		"Kerberos":                           {message('R', "\x00\x00\x00\x07"), connectors.AuthUnsupported},
		"another SASL mechanism":             {message('R', "\x00\x00\x00\x0aOAUTHBEARER\x00\x00"), connectors.AuthUnsupported},
		"too many iterations":                {message('R', "\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00") + message('R', "\x00\x00\x00\x0br=x,s=eA==,i=2000000000"), connectors.AuthUnsupported},
		"a foreign nonce":                    {message('R', "\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00") + message('R', "\x00\x00\x00\x0br=x,s=eA==,i=4096"), connectors.ProtocolMismatch},
		"SCRAM cut short":                    {message('R', "\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00") + ok + ready, connectors.AuthFailed},
		"an answer without a question":       {message('R', "\x00\x00\x00\x0bx"), connectors.ProtocolMismatch},
		"a short request":                    {message('R', "\x00"), connectors.ProtocolMismatch},
		"a huge message":                     {"R\x7f\xff\xff\xff", connectors.ProtocolMismatch},
		"a length below its own":             {"R\x00\x00\x00\x01", connectors.ProtocolMismatch},
		"another protocol":                   {"HTTP/1.1 400 Bad Request\r\n\r\n", connectors.ProtocolMismatch},
		"a short banner":                     {"OK\r\n", connectors.ProtocolMismatch},
		"a broken row":                       {ok + ready + message('D', "\x00\x09\x00"), connectors.ProtocolMismatch},
		"an endless result":                  {ok + ready + strings.Repeat(row, maxRows+1), connectors.ProtocolMismatch},
		"a hangup before the query's answer": {ok + ready, connectors.Closed},
	} {
		t.Run(name, func(t *testing.T) {
			f := scripted(t, []byte(tc.said))
			got := connectors.Code("")
			if f != nil {
				got = f.Code
			}
			if got != tc.want {
				t.Errorf("got %q (%v), want %q", got, f, tc.want)
			}
		})
	}
}

func TestClipKeepsWholeCharacters(t *testing.T) {
	if got := clip(strings.Repeat("ä", 400)); len(got) > 310 || strings.ContainsRune(got, '\uFFFD') {
		t.Errorf("got %q", got)
	}
}

func FuzzServer(f *testing.F) {
	f.Add([]byte("R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I" + message('D', "\x00\x01\x00\x00\x00\x02ok") + "Z\x00\x00\x00\x05I"))
	f.Add([]byte(refusal("SFATAL", "C28000", "Mno pg_hba.conf entry", "RClientAuthentication")))
	f.Add([]byte(message('R', "\x00\x00\x00\x05salt")))
	f.Add([]byte(message('R', "\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00") + message('R', "\x00\x00\x00\x0br=x,s=eA==,i=4096")))
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\n"))
	f.Fuzz(func(t *testing.T, said []byte) {
		if f := scripted(t, said); f != nil && strings.Contains(errText(f), "panic") {
			t.Fatal(f.Err)
		}
	})
}

func errText(f *connectors.Failure) string { return errors.Join(f.Err, f).Error() }

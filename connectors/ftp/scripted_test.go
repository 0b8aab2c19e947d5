package ftp_test

import (
	"bufio"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/testbed"
)

// script answers FTP commands by their word; "" is the greeting. An empty
// answer hangs up.
type script map[string]string

func (sc script) serve(c net.Conn) {
	in := bufio.NewScanner(c)
	say := func(word string) bool {
		answer, ok := sc[word]
		if !ok {
			answer = "502 what?"
		}
		if answer == "" {
			return false
		}
		_, err := fmt.Fprint(c, strings.ReplaceAll(answer, "\n", "\r\n")+"\r\n")
		return err == nil
	}
	if !say("") {
		return
	}
	for in.Scan() {
		word, _, _ := strings.Cut(in.Text(), " ")
		if !say(strings.ToUpper(word)) {
			return
		}
	}
}

// epsv is the answer that names a data port.
func epsv(port int) string { return fmt.Sprintf("229 Extended (|||%d|)", port) }

// answer is a case of TestAnswersThatServersGive.
type answer struct {
	name   string
	script script
	change change
	want   connectors.Code
	detail string
}

func goodAnswers(listing int) []answer {
	pasv := fmt.Sprintf("227 Passive (10,1,2,3,%d,%d)", listing/256, listing%256)
	return []answer{
		{"all is well", nil, nil, "", ""},
		{"a greeting of several lines", script{"": "220-hello\n 220 not yet\n220 now"}, nil, "", ""},
		{"no password asked", script{"USER": "230 welcome"}, nil, "", ""},
		{"no EPSV, and PASV with another host", script{"EPSV": "500 what?", "PASV": pasv}, nil, "", ""},
		{"features of all kinds", script{"FEAT": "211-Features\n UTF8\n MLST a;b\n EPSV\n211 End", "OPTS": "200 ok", "MLSD": "150 here"}, nil, "", ""},
	}
}

func loginAnswers() []answer {
	return []answer{
		{"a busy server", script{"": "421 too many users"}, nil, connectors.ServerBusy, "too many"},
		{"a server not ready", script{"": "120 in ten minutes"}, nil, connectors.ServerBusy, "ten minutes"},
		{"a server that turns clients away", script{"": "530 not from there"}, nil, connectors.PermissionDenied, "not from there"},
		{"a mail server", script{"": "220 mail ESMTP ready", "USER": "502 5.5.2 what?"}, nil, connectors.ProtocolMismatch, "mail ESMTP"},
		{"a full server", script{"PASS": "530 Sorry, the maximum number of clients is connected."}, nil, connectors.ServerBusy, "maximum"},
		{"TLS wanted by code", script{"USER": "530 Non-anonymous sessions must use encryption."}, nil, connectors.TLSRequired, "encryption"},
		{"TLS wanted at the password", script{"PASS": "421 TLS is required"}, nil, connectors.TLSRequired, "TLS"},
		{"a bad login by the rarer code", script{"PASS": "430 user unknown, by the way"}, nil, connectors.AuthFailed, "430"},
		{"a user refused by name", script{"USER": "530 user unknown, by the way"}, nil, connectors.AuthFailed, "530"},
		{"an account wanted", script{"PASS": "332 account?"}, nil, connectors.AuthFailed, "332"},
		{"a login put off", script{"PASS": "450 later"}, nil, connectors.ServerBusy, "later"},
		{"no TLS", script{"AUTH": "530 log in first"}, change{"protocol": "ftps"}, connectors.TLSNotSupported, "log in first"},
		{"TLS at a bad time", script{"AUTH": "421 going down"}, change{"protocol": "ftps"}, connectors.ServerBusy, "going down"},
		{"text slipped in before the handshake", script{"AUTH": "234 go\n230 welcome"}, change{"protocol": "ftps"}, connectors.TLSHandshake, "before"},
	}
}

func fileAnswers(t *testing.T) []answer {
	t.Helper()
	return []answer{
		{"a directory forbidden", script{"CWD": "550 Access is denied."}, change{"base_path": "/x"}, connectors.PermissionDenied, "denied"},
		{"a directory missing", script{"CWD": "550 Failed to change directory."}, change{"base_path": "/x"}, connectors.PathMissing, `"/x"`},
		{"no PWD", script{"PWD": "502 what?"}, nil, "", ""},
		{"an odd PWD", script{"PWD": "257 here"}, nil, "", ""},
		{"a data port closed", script{"EPSV": epsv(testbed.ClosedPort(t))}, nil, connectors.Refused, "data connection"},
		{"a data port silent", script{"EPSV": epsv(testbed.SilentPeer(t))}, nil, connectors.Timeout, "passive ports"},
		{"a data connection the server cannot open", script{"LIST": "425 no"}, nil, connectors.Closed, "425"},
		{"a data connection lost", script{"LIST": "150 here\n426 gone"}, nil, connectors.Closed, "426"},
		{"data only encrypted", script{"LIST": "522 data must be encrypted"}, nil, connectors.TLSRequired, "522"},
		{"a listing forbidden", script{"LIST": "550 Permission denied"}, nil, connectors.PermissionDenied, "directory"},
		{"no way to make data connections", script{"EPSV": "229 (|||x|)", "PASV": "227 none"}, nil, connectors.ProtocolMismatch, "227 none"},
		{"a server that leaves", script{"USER": ""}, nil, connectors.Closed, ""},
	}
}

func TestAnswersThatServersGive(t *testing.T) {
	listing := testbed.Peer(t, func(c net.Conn) { fmt.Fprint(c, "-rw-r--r-- 1 a a 1 Jan  1 00:00 x\r\n") })
	for _, tt := range slices.Concat(goodAnswers(listing), loginAnswers(), fileAnswers(t)) {
		t.Run(tt.name, func(t *testing.T) {
			sc := script{"": "220 ready", "USER": "331 password?", "PASS": "230 welcome", "TYPE": "200 ok", "CWD": "250 ok", "PWD": `257 "/"`,
				"EPSV": epsv(listing), "LIST": "150 here\n226 done"}
			maps.Copy(sc, tt.script)
			if sc["MLSD"] == "150 here" {
				sc["MLSD"] = sc["LIST"]
			}
			raw := merge(change{"host": "127.0.0.1", "port": port(testbed.Peer(t, sc.serve)), "username": "u", "password": testbed.NastyPassword}, tt.change)
			_, f := try(t, raw, connectors.Env{}, time.Second)
			var code connectors.Code
			var text string
			if f != nil {
				code, text = f.Code, f.Error()
			}
			if code != tt.want || !strings.Contains(text, tt.detail) {
				t.Errorf("got %q: %s, want %q with %q", code, text, tt.want, tt.detail)
			}
			if strings.Contains(text, "by the way") {
				t.Errorf("%q tells what was wrong with the login", text)
			}
		})
	}
}

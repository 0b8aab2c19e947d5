package email_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/email"
	"github.com/backplane/backplane/testbed"
)

const user = "mailer@example.com"

// script answers commands by their first word; "" is the greeting. Words that
// it lacks get 250. A function sees the rest of the command.
type script map[string]any

func (sc script) serve(c net.Conn) {
	in := bufio.NewScanner(c)
	say := func(word, rest string) bool {
		answer, ok := sc[word]
		if !ok {
			answer = "250 fine"
		}
		text, _ := answer.(string)
		if f, ok := answer.(func(in *bufio.Scanner, c net.Conn, rest string) string); ok {
			text = f(in, c, rest)
		}
		_, err := fmt.Fprint(c, strings.ReplaceAll(text, "\n", "\r\n")+"\r\n")
		return err == nil
	}
	if !say("", "") {
		return
	}
	for in.Scan() {
		word, rest, _ := strings.Cut(in.Text(), " ")
		if !say(strings.ToUpper(word), rest) {
			return
		}
	}
}

type asks = func(in *bufio.Scanner, c net.Conn, rest string) string

// prompt sends a challenge and returns the decoded answer.
func prompt(in *bufio.Scanner, c net.Conn, challenge string) string {
	fmt.Fprintf(c, "334 %s\r\n", base64.StdEncoding.EncodeToString([]byte(challenge)))
	in.Scan()
	b, _ := base64.StdEncoding.DecodeString(in.Text())
	return string(b)
}

func scramServer(t *testing.T, hash scram.HashGeneratorFcn, password string) asks {
	t.Helper()
	client, err := hash.NewClient(user, password, "")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt of the earth", Iters: 4096})
	if err != nil {
		t.Fatal(err)
	}
	server, err := hash.NewServer(func(string) (scram.StoredCredentials, error) { return stored, nil })
	if err != nil {
		t.Fatal(err)
	}
	return func(in *bufio.Scanner, c net.Conn, _ string) string {
		conversation := server.NewConversation()
		answer := prompt(in, c, "")
		for !conversation.Done() {
			challenge, err := conversation.Step(answer)
			if err != nil {
				return "535 5.7.8 no"
			}
			answer = prompt(in, c, challenge)
		}
		return "235 welcome"
	}
}

// rogue lets everybody in without the proof that SCRAM ends with.
func rogue(in *bufio.Scanner, c net.Conn, _ string) string {
	first := prompt(in, c, "")
	_, nonce, _ := strings.Cut(first, "r=")
	prompt(in, c, "r="+nonce+"x,s=c2FsdA==,i=4096")
	return "235 come in"
}

// costly asks for a key derivation that would take minutes.
func costly(in *bufio.Scanner, c net.Conn, _ string) string {
	first := prompt(in, c, "")
	_, nonce, _ := strings.Cut(first, "r=")
	prompt(in, c, "r="+nonce+"x,s=c2FsdA==,i=2000000000")
	return "501 aborted"
}

func says(challenge, last string) asks {
	return func(in *bufio.Scanner, c net.Conn, _ string) string {
		prompt(in, c, challenge)
		return last
	}
}

// answer is a case of TestAnswersThatServersGive.
type answer struct {
	name   string
	script script
	change map[string]any
	want   connectors.Code
	detail string
}

func loginAnswers(t *testing.T) []answer {
	t.Helper()
	return []answer{
		{"a greeting of several lines", script{}, nil, "", ""},
		{"SCRAM-SHA-256", script{"EHLO": "250-me\n250 AUTH SCRAM-SHA-256 PLAIN", "AUTH": scramServer(t, scram.SHA256, testbed.NastyPassword)}, nil, "", ""},
		{"SCRAM-SHA-1", script{"EHLO": "250-me\n250 AUTH SCRAM-SHA-1 CRAM-MD5", "AUTH": scramServer(t, scram.SHA1, testbed.NastyPassword)}, nil, "", ""},
		{"SCRAM with another password", script{"EHLO": "250-me\n250 AUTH SCRAM-SHA-256", "AUTH": scramServer(t, scram.SHA256, "other")}, nil, connectors.AuthFailed, "5.7.8"},
		{"SCRAM without the server's proof", script{"EHLO": "250-me\n250 AUTH SCRAM-SHA-256", "AUTH": asks(rogue)}, nil, connectors.AuthFailed, "prove"},
		{"SCRAM at too great a cost", script{"EHLO": "250-me\n250 AUTH SCRAM-SHA-256", "AUTH": asks(costly)}, nil, connectors.AuthFailed, "server's side"},
		{"a challenge that is not base64", script{"EHLO": "250-me\n250 AUTH CRAM-MD5", "AUTH": "334 ???"}, nil, connectors.AuthFailed, "server's side"},
		{"the old way to list logins", script{"EHLO": "250-me\n250 AUTH=PLAIN LOGIN", "AUTH": "235 ok"}, nil, "", ""},
		{"an expired token explained in a challenge",
			script{"EHLO": "250-me\n250 AUTH XOAUTH2", "AUTH": says(`{"status":"400"}`, "535 5.7.8 no")},
			map[string]any{"auth": "xoauth2"}, connectors.AuthFailed, "535 5.7.8"},
		{"an app password is wanted", script{"AUTH": "534 5.7.9 user unknown, by the way"}, nil, connectors.AuthFailed, "534 5.7.9"},
		{"encryption is wanted for the login", script{"AUTH": "538 5.7.11 Encryption required"}, nil, connectors.TLSRequired, ""},
		{"the login is out of order", script{"AUTH": "454 4.7.0 Try later"}, nil, connectors.ServerBusy, "Try later"},
		{"the login is not implemented", script{"AUTH": "504 5.5.4 No"}, nil, connectors.AuthUnsupported, "PLAIN"},
	}
}

func sessionAnswers() []answer {
	return []answer{
		{"a login is wanted in words", script{"MAIL": "550 Authentication is required"},
			map[string]any{"username": nil, "password": nil}, connectors.AuthRequired, ""},
		{"STARTTLS is wanted for mail", script{"MAIL": "530 5.7.0 Must issue a STARTTLS command first"}, nil, connectors.TLSRequired, ""},
		{"mail is out of order", script{"MAIL": "451 4.3.0 disk full"}, nil, connectors.ServerBusy, "disk full"},
		{"the greeting name is refused", script{"EHLO": "550 5.7.1 bad name"}, nil, connectors.PermissionDenied, "bad name"},
		{"a server without EHLO", script{"EHLO": "502 what?"}, map[string]any{"username": nil, "password": nil}, "", ""},
		{"a server without EHLO, with a login", script{"EHLO": "502 what?"}, nil, connectors.AuthUnsupported, "no login"},
		{"a server without RSET", script{"RSET": "502 what?"}, nil, "", ""},
		{"an FTP server", script{"": "220 ProFTPD Server ready", "EHLO": "500 what?", "HELO": "500 what?"}, nil, connectors.ProtocolMismatch, "ProFTPD"},
		{"a busy server", script{"": "421 too many connections"}, nil, connectors.ServerBusy, "too many"},
		{"no STARTTLS after all", script{"EHLO": "250-me\n250 STARTTLS", "STARTTLS": "454 no certificate"},
			map[string]any{"encryption": "starttls"}, connectors.TLSNotSupported, "no certificate"},
		{"text slipped in before the handshake", script{"EHLO": "250-me\n250 STARTTLS", "STARTTLS": "220 go\n250 AUTH PLAIN"},
			map[string]any{"encryption": "starttls"}, connectors.TLSHandshake, "before the handshake"},
		{"a sender in UTF-8 for an ASCII server", script{}, map[string]any{"from_address": "jörg@example.com"}, connectors.InvalidConfig, "ASCII"},
		{"a sender in UTF-8", script{"EHLO": "250-me\n250-AUTH PLAIN\n250 SMTPUTF8"}, map[string]any{"from_address": "jörg@example.com"}, "", ""},
	}
}

func TestAnswersThatServersGive(t *testing.T) {
	const greeting = "220-mail.example.com\n220-has much to say\n220 ESMTP"
	for _, tt := range append(loginAnswers(t), sessionAnswers()...) {
		t.Run(tt.name, func(t *testing.T) {
			sc := script{"": greeting, "EHLO": "250-me\n250 AUTH PLAIN", "AUTH": "235 welcome"}
			for k, v := range tt.script {
				sc[k] = v
			}
			raw := map[string]any{
				"host": "127.0.0.1", "port": float64(testbed.Peer(t, sc.serve)), "encryption": "none", "allow_plaintext_auth": true,
				"username": user, "password": testbed.NastyPassword, "from_address": "a@example.com",
			}
			for k, v := range tt.change {
				raw[k] = v
			}
			c, faults := email.New().Spec().Validate(raw, connectors.Env{})
			if len(faults) > 0 {
				t.Fatalf("refused: %+v", faults)
			}
			_, f := connectors.Run(context.Background(), email.New(), c, connectors.Env{}, 5*time.Second)
			var code connectors.Code
			var text string
			if f != nil {
				code, text = f.Code, f.Error()
			}
			if code != tt.want || !strings.Contains(text, tt.detail) {
				t.Errorf("got %q: %s, want %q with %q", code, text, tt.want, tt.detail)
			}
			if strings.Contains(text, "unknown, by the way") {
				t.Errorf("%q tells what was wrong with the login", text)
			}
		})
	}
}

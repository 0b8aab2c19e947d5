package email

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/backplane/backplane/connectors"
)

// The reply codes below are those of RFC 5321 section 4.2 and, for logins,
// RFC 4954 section 6; where servers differ, their habit is named.

func unknownCommand(code int) bool { return code == 500 || code == 502 }

// passing tells replies that may be better a moment later.
func passing(code int) bool { return code/100 == 4 }

func (s *session) refusedGreeting(r reply) error {
	switch {
	case passing(r.code):
		return connectors.Fail(connectors.ServerBusy, nil, "%s", r)
	case r.code/100 == 5:
		return &connectors.Failure{Code: connectors.PermissionDenied, Detail: "the server turns this client away: " + r.String(),
			Hint: "The server may not serve this network."}
	}
	return connectors.Mismatch("an SMTP", s.first)
}

func helloFailure(name string, r reply) error {
	if passing(r.code) {
		return connectors.Fail(connectors.ServerBusy, nil, "%s", r)
	}
	return &connectors.Failure{Code: connectors.PermissionDenied, Detail: fmt.Sprintf("the greeting as %q was refused: %s", name, r),
		Hint: "Set helo to the public name of this machine."}
}

func startTLSFailure(r reply) error {
	if r.code == 421 || r.code == 451 {
		return connectors.Fail(connectors.ServerBusy, nil, "%s", r)
	}
	return connectors.Fail(connectors.TLSNotSupported, nil, "%s", r)
}

// authFailure never repeats the server's text of a refusal: some servers tell
// there whether the name or the password was wrong.
func authFailure(r reply, offered string) error {
	switch {
	case needsTLS(r):
		return &connectors.Failure{Code: connectors.TLSRequired, Detail: r.String(), Hint: `Use encryption "starttls" or "tls".`}
	case r.code == 432, r.code == 534, r.code == 535:
		return &connectors.Failure{Code: connectors.AuthFailed, Detail: "reply " + r.number(),
			Hint: "Check username and password. Providers with two-step login want an app password."}
	case r.code == 504:
		return connectors.Fail(connectors.AuthUnsupported, nil, "the server offers %s", offered)
	case passing(r.code):
		return connectors.Fail(connectors.ServerBusy, nil, "%s", r)
	}
	return connectors.Fail(connectors.AuthFailed, nil, "reply %s", r.number())
}

func mailFailure(from string, loggedIn bool, r reply) error {
	switch {
	case needsTLS(r):
		return &connectors.Failure{Code: connectors.TLSRequired, Detail: r.String(), Hint: `Use encryption "starttls" or "tls".`}
	case needsLogin(r, loggedIn):
		return connectors.Fail(connectors.AuthRequired, nil, "%s", r)
	case passing(r.code):
		return connectors.Fail(connectors.ServerBusy, nil, "%s", r)
	}
	return connectors.Fail(connectors.PermissionDenied, nil, "not allowed to send as %s: %s", from, r)
}

func needsTLS(r reply) bool {
	text := strings.ToUpper(r.text)
	return r.code == 538 || r.code == 530 && (strings.Contains(text, "STARTTLS") || strings.Contains(text, "TLS"))
}

// needsLogin tells a refusal for want of a login. 530 is the standard's code;
// servers also say it in words with 503, 550, 553 or 554.
func needsLogin(r reply, loggedIn bool) bool {
	if r.code == 530 {
		return true
	}
	text := strings.ToLower(r.text)
	return !loggedIn && r.code/100 == 5 &&
		(strings.Contains(text, "authenticat") || strings.Contains(text, "auth first") || strings.Contains(text, "log in"))
}

// enhanced is an enhanced status code, RFC 3463.
var enhanced = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}\b`)

// number is the reply's code with the enhanced one, without the text.
func (r reply) number() string {
	if e := enhanced.FindString(r.text); e != "" {
		return fmt.Sprintf("%d %s", r.code, e)
	}
	return fmt.Sprint(r.code)
}

// String is the reply as shown to people: one line, bounded.
func (r reply) String() string {
	return clip(fmt.Sprintf("%d %s", r.code, strings.ReplaceAll(r.text, "\n", " ")), 200)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// clip makes a server's text safe to show: printable, valid, at most n
// characters.
func clip(s string, n int) string {
	var sb strings.Builder
	count := 0
	for _, c := range strings.ToValidUTF8(s, ".") {
		if !unicode.IsPrint(c) {
			c = '.'
		}
		if count == n {
			return sb.String() + "…"
		}
		sb.WriteRune(c)
		count++
	}
	return sb.String()
}

func joinOffers(offers map[string]string) string {
	if len(offers) == 0 {
		return "nothing"
	}
	var words []string
	for _, key := range slices.Sorted(maps.Keys(offers)) {
		words = append(words, strings.TrimSpace(key+" "+offers[key]))
	}
	return clip(strings.Join(words, ", "), 300)
}

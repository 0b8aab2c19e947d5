package filter

import (
	"errors"
	"net/netip"
	"strings"
)

// Client is a pattern of clients: 'user'@'host', in which % stands for any
// text and, in the host, _ for one character. Without a host it is any.
type Client struct{ user, host string }

// ParseClient reads a pattern, with or without quotes.
func ParseClient(text string) (Client, error) {
	wrong := errors.New("must be a client, as 'user'@'host'")
	user, rest, ok := clientPart(text)
	c := Client{user: user, host: "%"}
	if host, named := strings.CutPrefix(rest, "@"); named && ok {
		c.host, rest, ok = clientPart(host)
	}
	if !ok || rest != "" || c.user == "" || c.host == "" {
		return Client{}, wrong
	}
	c.host = strings.ToLower(c.host)
	if addr, err := netip.ParseAddr(c.host); err == nil {
		c.host = addr.Unmap().String()
	}
	return c, nil
}

// clientPart reads the user or the host.
func clientPart(text string) (part, rest string, ok bool) {
	if text == "" {
		return "", "", false
	}
	if quote := text[0]; quote == '\'' || quote == '"' || quote == '`' {
		part, rest, ok = strings.Cut(text[1:], string(quote))
		return part, rest, ok
	}
	i := strings.LastIndexByte(text, '@')
	if i < 0 {
		i = len(text)
	}
	return text[:i], text[i:], !strings.ContainsAny(text, "'\"` ")
}

// Matches tells whether a client is meant. Those of the machine itself and of
// Unix sockets are also those of localhost.
func (c Client) Matches(user string, remote netip.AddrPort) bool {
	if c.user != "%" && !wild(c.user, user, false) {
		return false
	}
	if c.host == "%" || wild(c.host, hostOf(remote), true) {
		return true
	}
	return (!remote.IsValid() || remote.Addr().IsLoopback()) && wild(c.host, "localhost", true)
}

// String is the pattern as it is written.
func (c Client) String() string { return "'" + c.user + "'@'" + c.host + "'" }

// wild tells whether text is as the pattern.
func wild(pattern, text string, single bool) bool {
	p, t, star, from := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '%':
			star, from = p, t
			p++
		case p < len(pattern) && (pattern[p] == text[t] || single && pattern[p] == '_'):
			p++
			t++
		case star >= 0:
			from++
			p, t = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "%") == ""
}

package mongodb

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/backplane/backplane/connectors"
)

const (
	schemePlain = "mongodb://"
	schemeSRV   = "mongodb+srv://"
	hidden      = "****"
)

// uri is a parsed connection string
// (https://www.mongodb.com/docs/manual/reference/connection-string/).
type uri struct {
	srv      bool
	hasUser  bool
	user     string
	password string
	hosts    []string // host:port, or the one name of an SRV record
	database string
	options  []option
}

type option struct{ key, value string }

// get returns the last value of an option; names ignore case.
func (u *uri) get(key string) string {
	for _, o := range slices.Backward(u.options) {
		if strings.EqualFold(o.key, key) {
			return o.value
		}
	}
	return ""
}

// set adds an option unless the value is empty.
func (u *uri) set(key, value string) {
	if value != "" {
		u.options = append(u.options, option{key, value})
	}
}

// tls reports whether the connections are to be encrypted, which they are by
// default after an SRV lookup.
func (u *uri) tls() bool {
	switch u.get("tls") + u.get("ssl") {
	case "":
		return u.srv
	case "true":
		return true
	}
	return false
}

// cut separates user info, hosts, and the rest from the first slash on. The
// user info ends at the last @ before the path.
func cut(s string) (scheme, userinfo, hosts, rest string, ok bool) {
	for _, scheme = range []string{schemePlain, schemeSRV} {
		after, found := strings.CutPrefix(s, scheme)
		if !found {
			continue
		}
		authority := after
		if i := strings.IndexByte(after, '/'); i >= 0 {
			authority, rest = after[:i], after[i:]
		}
		i := strings.LastIndexByte(authority, '@')
		if i >= 0 {
			userinfo = authority[:i+1]
		}
		return scheme, userinfo, authority[i+1:], rest, true
	}
	return "", "", "", "", false
}

// mask shows a connection string without its password.
func mask(s string) string {
	scheme, userinfo, hosts, rest, ok := cut(s)
	if !ok || strings.ContainsRune(rest, '@') {
		return hidden
	}
	if user, _, found := strings.Cut(userinfo, ":"); found {
		userinfo = user + ":" + hidden + "@"
	}
	return scheme + userinfo + hosts + rest
}

// secrets are the password inside a connection string, as written and decoded.
func secrets(s string) []string {
	_, userinfo, _, _, _ := cut(s)
	_, password, found := strings.Cut(strings.TrimSuffix(userinfo, "@"), ":")
	if !found || password == "" {
		return nil
	}
	out := []string{password}
	if plain, err := url.PathUnescape(password); err == nil && plain != password {
		out = append(out, plain)
	}
	return out
}

var errEscape = errors.New("must percent-encode special characters in user name and password: @ is %40, : is %3A, / is %2F, % is %25")

func parse(s string) (*uri, error) {
	scheme, userinfo, hosts, rest, ok := cut(s)
	if !ok {
		return nil, errors.New("must begin with mongodb:// or mongodb+srv://")
	}
	u := &uri{srv: scheme == schemeSRV}
	if err := u.parseUser(userinfo); err != nil {
		return nil, err
	}
	if err := u.parseHosts(hosts); err != nil {
		if strings.ContainsRune(rest, '@') {
			return nil, errEscape // a slash in the password ended the host early
		}
		return nil, err
	}
	path, query, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "?")
	var err error
	if u.database, err = url.PathUnescape(path); err != nil {
		return nil, errors.New("must percent-encode special characters in the database")
	}
	if u.database != "" && checkDatabase(u.database, connectors.Env{}) != nil {
		return nil, errors.New("must name a valid database after the hosts")
	}
	return u, u.parseOptions(query)
}

func (u *uri) parseUser(userinfo string) error {
	if userinfo == "" {
		return nil
	}
	user, password, _ := strings.Cut(strings.TrimSuffix(userinfo, "@"), ":")
	if strings.ContainsAny(user+password, "@:/") {
		return errEscape
	}
	var uerr, perr error
	u.hasUser = true
	u.user, uerr = url.PathUnescape(user)
	u.password, perr = url.PathUnescape(password)
	switch {
	case uerr != nil || perr != nil:
		return errEscape
	case u.user == "":
		return errors.New("must have a user name before the password")
	case u.password == hidden:
		return errors.New("must hold the password itself, not the mask that is shown for it")
	}
	return nil
}

func (u *uri) parseHosts(hosts string) error {
	bad := errors.New("must name its hosts as host:port, separated by commas, with IPv6 addresses in brackets, and a slash after the last")
	for h := range strings.SplitSeq(hosts, ",") {
		if u.srv {
			if len(u.hosts) > 0 || connectors.CheckHost(h, connectors.Env{}) != nil || !strings.Contains(h, ".") {
				return errors.New("must name one domain after mongodb+srv://, without a port")
			}
			u.hosts = append(u.hosts, h)
			continue
		}
		seed, ok := seed(h)
		if !ok {
			return bad
		}
		u.hosts = append(u.hosts, seed)
	}
	return nil
}

// seed completes a host of a connection string to host:port.
func seed(h string) (string, bool) {
	host, port := h, strconv.Itoa(defaultPort)
	bare, bracketed := strings.CutPrefix(h, "[")
	switch {
	case bracketed && strings.HasSuffix(bare, "]"):
		host = strings.TrimSuffix(bare, "]")
	case strings.Contains(h, ":"):
		var err error
		if host, port, err = net.SplitHostPort(h); err != nil {
			return "", false
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || connectors.CheckHost(host, connectors.Env{}) != nil {
		return "", false
	}
	return net.JoinHostPort(host, port), true
}

// client are the driver's options for the deployment. Encryption is left out:
// the dialer does it.
func (u *uri) client() (*options.ClientOptions, error) {
	var b strings.Builder
	b.WriteString(schemePlain)
	if u.hasUser {
		b.WriteString(escape(u.user))
		if u.password != "" {
			b.WriteString(":" + escape(u.password))
		}
		b.WriteByte('@')
	}
	b.WriteString(strings.Join(u.hosts, ",") + "/" + url.PathEscape(u.database))
	sep := "?"
	for _, o := range u.options {
		if known[strings.ToLower(o.key)] == passed {
			b.WriteString(sep + url.QueryEscape(o.key) + "=" + url.QueryEscape(o.value))
			sep = "&"
		}
	}
	opts := options.Client().ApplyURI(b.String())
	return opts, opts.Validate()
}

// escape encodes a user name or password. In a path : and @ could stay.
func escape(s string) string {
	return strings.NewReplacer(":", "%3A", "@", "%40").Replace(url.PathEscape(s))
}

func checkURI(value any, _ connectors.Env) error {
	s, _ := value.(string)
	u, err := parse(s)
	if err != nil {
		return err
	}
	if _, err := u.client(); err != nil {
		text := err.Error()
		for _, secret := range secrets(s) {
			text = strings.ReplaceAll(text, secret, hidden)
		}
		return errors.New("has options that contradict each other or have bad values: " + text)
	}
	return nil
}

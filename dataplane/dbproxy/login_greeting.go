package dbproxy

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/backplane/backplane/dataplane/dbproxy/account"
	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

const (
	// loginCaps are those that concern logins alone, which need not be the
	// same on both sides.
	loginCaps = wire.CapSSL | wire.CapConnectWithDB | wire.CapConnectAttrs | wire.CapPluginAuth | wire.CapPluginAuthLenenc

	// alwaysCaps are those that every server has.
	alwaysCaps = wire.CapProtocol41 | wire.CapSecureConnection | wire.CapTransactions | wire.CapLongFlag |
		wire.CapConnectWithDB | wire.CapConnectAttrs | wire.CapPluginAuth | wire.CapPluginAuthLenenc

	// usualCaps are offered as long as no server is known. All servers since
	// MySQL 5.7 and MariaDB 10.2 have them.
	usualCaps = alwaysCaps | wire.CapMySQL | wire.CapFoundRows | wire.CapNoSchema | wire.CapODBC | wire.CapLocalFiles | wire.CapIgnoreSpace |
		wire.CapInteractive | wire.CapIgnoreSigpipe | wire.CapMultiStatements | wire.CapMultiResults | wire.CapPSMultiResults |
		wire.CapExpiredPasswords | wire.CapSessionTrack | wire.CapDeprecateEOF

	// fallbackVersion is told as long as no server is known.
	fallbackVersion = "5.5.5-10.4.32 24.02.0-maxscale"
	replicaPrefix   = "5.5.5-" // without it replicas take MariaDB 10 for MySQL 1
)

// learn keeps what a server has told of itself.
func (srv *Server) learn(g *wire.Greeting) {
	old := srv.greeted.Load()
	if old == nil || old.version != g.Version || old.caps != g.Capabilities {
		srv.greeted.Store(&greeted{version: g.Version, caps: g.Capabilities})
	}
}

// offers are the capabilities that all servers of a service have, as far as
// they are known.
func offers(servers []*Server) wire.Capability {
	caps, known := wire.Relayable, false
	for _, srv := range servers {
		if g := srv.greeted.Load(); g != nil {
			caps, known = caps&g.caps, true
		}
	}
	if !known {
		caps = usualCaps
	}
	return caps&^wire.CapSSL | alwaysCaps
}

// versionNumber reads the number with which a version begins.
func versionNumber(version string) (n [3]int) {
	for i, part := range strings.SplitN(strings.TrimPrefix(version, replicaPrefix), ".", 3) {
		digits := strings.IndexFunc(part, func(c rune) bool { return c < '0' || c > '9' })
		if digits >= 0 {
			part = part[:digits]
		}
		n[i], _ = strconv.Atoi(part) // 0 where there is no number
		if digits >= 0 {
			break
		}
	}
	return n
}

func compareVersions(a, b string) int {
	x, y := versionNumber(a), versionNumber(b)
	return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1]), cmp.Compare(x[2], y[2]))
}

func isMariaDB(version string) bool { return strings.Contains(strings.ToLower(version), "mariadb") }

// lowestVersion is the oldest version among the servers, "" when none is
// known.
func lowestVersion(servers []*Server) string {
	lowest := ""
	for _, srv := range servers {
		v := strings.TrimPrefix(srv.Version(), replicaPrefix)
		if v != "" && (lowest == "" || compareVersions(v, lowest) < 0) {
			lowest = v
		}
	}
	return lowest
}

// greetingVersion is the version that clients are told.
func greetingVersion(configured, lowest string) string {
	switch {
	case configured != "":
		return configured
	case lowest == "":
		return fallbackVersion
	case isMariaDB(lowest) && versionNumber(lowest)[0] == 10:
		return replicaPrefix + lowest
	}
	return lowest
}

// greet sends the greeting, and returns the capabilities that it offers and
// the plugin that it begins with.
func (s *Session) greet(tls bool) (offered wire.Capability, plugin string, err error) {
	servers := s.service.real()
	offered = offers(servers)
	if tls {
		offered |= wire.CapSSL
	}
	s.scramble = wire.NewScramble()
	plugin = wire.PluginNative
	if t := s.service.users.Table(); t.Loaded() && t.Product() == account.MySQL {
		plugin = wire.PluginSHA2
	}
	g := wire.Greeting{
		Version: greetingVersion(s.service.Params().String("version_string"), lowestVersion(servers)), ConnectionID: s.id,
		Scramble: s.scramble[:], Capabilities: offered, Charset: wire.CharsetUTF8MB4, Status: wire.StatusAutocommit, Plugin: plugin,
	}
	s.client.SetSequence(0)
	return offered, plugin, s.send(g.Append(nil))
}

// send sends a packet of the login.
func (s *Session) send(payload []byte) error {
	if err := s.client.WritePacket(payload); err != nil {
		return err
	}
	return s.client.Flush()
}

// beginMode is how the text of a session that begins is to be read.
func beginMode(charset byte, caps wire.Capability, servers []*Server, oracle bool) sqlclass.Mode {
	lowest := lowestVersion(servers)
	name := charsetName(charset)
	if charset == wire.CharsetUTF8MB4MySQL8 && isMariaDB(lowest) {
		// Where the server does not know it the session gets the server's own.
		name, _ = globalVariable(servers, "character_set_client")
	}
	mode := charsetMode(0, name)
	if value, known := globalVariable(servers, "sql_mode"); known {
		mode = SQLMode(mode, value)
	} else {
		mode |= sqlclass.UnknownSQLMode
	}
	if init, _ := globalVariable(servers, "init_connect"); init != "" {
		mode |= sqlclass.UnknownSQLMode | sqlclass.UnsafeCharset // it may set both
	}
	if oracle {
		mode = SQLMode(mode, "ORACLE")
	}
	if caps.Has(wire.CapIgnoreSpace) {
		mode |= sqlclass.IgnoreSpace
	}
	switch v := lowest; {
	case v == "":
	case !isMariaDB(v):
		if compareVersions(v, "8") >= 0 {
			mode |= sqlclass.MySQL
		}
	case compareVersions(v, "11.4") >= 0:
		mode |= sqlclass.MariaDB | sqlclass.MariaDB11
	case compareVersions(v, "10.6") >= 0:
		mode |= sqlclass.MariaDB
	}
	return mode
}

// charsetName is the character set of a collation by its id ("Supported
// Character Sets and Collations", MariaDB Knowledge Base), "" where a client's
// text need not be a superset of ASCII, or may be misread for other reasons.
func charsetName(id byte) string {
	switch {
	case id == 33, id == 76, id == 83, id >= 192 && id <= 215, id == 223:
		return "utf8mb3"
	case id == 45, id == 46, id >= 224 && id <= 247, id == 255:
		return "utf8mb4"
	}
	return otherCharsets[id]
}

var otherCharsets = [256]string{
	5: "latin1", 8: "latin1", 15: "latin1", 31: "latin1", 47: "latin1", 48: "latin1", 49: "latin1", 94: "latin1",
	2: "latin2", 9: "latin2", 21: "latin2", 27: "latin2", 77: "latin2", 30: "latin5", 78: "latin5", 20: "latin7", 41: "latin7", 42: "latin7", 79: "latin7",
	11: "ascii", 65: "ascii", 63: "binary", 4: "cp850", 80: "cp850", 36: "cp866", 68: "cp866", 40: "cp852", 81: "cp852",
	26: "cp1250", 34: "cp1250", 44: "cp1250", 66: "cp1250", 99: "cp1250", 14: "cp1251", 23: "cp1251", 50: "cp1251", 51: "cp1251", 52: "cp1251",
	57: "cp1256", 67: "cp1256", 29: "cp1257", 58: "cp1257", 59: "cp1257", 7: "koi8r", 74: "koi8r", 22: "koi8u", 75: "koi8u",
	25: "greek", 70: "greek", 16: "hebrew", 71: "hebrew",
}

package redis

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/backplane/backplane/connectors"
)

// Logins get what is listed here and nothing else. A rule that took away what
// is known to be harmful would hand out whatever a later version or a module
// brings.
//
// The categories are those whose commands name their keys, so that the server
// checks them against the login's prefix: whatever a later version adds there
// is checked too.
var dataCategories = []string{
	"@string", "@hash", "@list", "@set", "@sortedset", "@stream", "@bitmap", "@hyperloglog", "@geo", "@transaction",
}

// What these categories must not bring: calls whose keys the server does not
// find, and so does not check. Redis 7.0 looks at the first STORE of GEORADIUS,
// which writes to the last, and finds no key at all in PFMERGE without sources.
// GEOSEARCHSTORE does what the former do.
var unchecked = []string{"georadius", "georadiusbymember", "pfmerge"}

// Commands on keys of any type, less those that go round all keys (KEYS, SCAN,
// RANDOMKEY, DBSIZE, FLUSHDB) or to another database, where no prefix is
// checked and nobody measures (MOVE, COPY with DB, SELECT other than 0).
// RESTORE takes what could crash the server, and SORT reads keys that it does
// not name.
var keyCommands = []string{
	"del", "unlink", "exists", "expire", "expireat", "expiretime", "pexpire", "pexpireat", "pexpiretime", "persist",
	"ttl", "pttl", "type", "touch", "rename", "renamenx", "dump", "object", "memory|usage",
}

// Scripts run with the rights of who calls them. The rest of SCRIPT and all of
// FUNCTION change or stop what others run, and SCRIPT DEBUG holds the server.
var scriptCommands = []string{"eval", "evalsha", "eval_ro", "evalsha_ro", "script|load", "script|exists"}

// What clients say on their own connection. CLIENT TRACKING is not among it: in
// its broadcasting mode it tells the keys that anybody changes. Neither are
// INFO, which tells of all databases, and WAIT, which makes the primary ask all
// its replicas.
var connectionCommands = []string{
	"auth", "hello", "ping", "echo", "quit", "reset", "time", "command", "select|0", "acl|whoami",
	"client|id", "client|info", "client|getname", "client|setname", "client|setinfo", "client|reply",
}

// Channels are checked like keys. PUBSUB lists those of all.
var (
	listenCommands  = []string{"subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe"}
	publishCommands = []string{"publish", "spublish"}
)

// aclRules are the arguments of ACL SETUSER that make a login what it should
// be, whatever it was. known tells which commands the server has: it refuses
// rules about others.
//
// Redis has no structure to change, so read-write is the same as owner.
func aclRules(l connectors.Login, v version, known func(string) bool) []string {
	reads := l.Frozen || l.Privilege == connectors.ReadOnly
	globbed := pattern(l.Database)
	rules := []string{"reset", "on", "#" + passwordHash(l.Password), "~" + globbed, "-@all"}
	commands := [][]string{keyCommands, scriptCommands, connectionCommands}
	if v.atLeast(6, 2) { // before, channels were open to all
		rules = append(rules, "&"+globbed)
		commands = append(commands, listenCommands)
		if !reads {
			commands = append(commands, publishCommands)
		}
	}
	for _, c := range dataCategories {
		rules = append(rules, "+"+c)
	}
	for _, c := range unchecked {
		if known(c) {
			rules = append(rules, "-"+c)
		}
	}
	for _, list := range commands {
		for _, c := range list {
			if known(c) {
				rules = append(rules, "+"+c)
			}
		}
	}
	rules = append(rules, "-@admin", "-@dangerous")
	if reads {
		rules = append(rules, "-@write")
	}
	return rules
}

// passwordHash is what the server keeps of a password, so that the password
// itself is in none of its logs.
func passwordHash(password string) string {
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:])
}

// commandNames are the commands in the answer to COMMAND, and where the server
// lists them, the subcommands, as command|subcommand.
func commandNames(answer value) map[string]bool {
	names := map[string]bool{}
	for _, c := range answer.list {
		if len(c.list) == 0 {
			continue
		}
		names[strings.ToLower(c.list[0].text)] = true
		if len(c.list) > 9 { // since version 7
			for name := range commandNames(c.list[9]) {
				names[name] = true
			}
		}
	}
	return names
}

// knows reports whether the server has a command to make rules of.
func (s *server) knows(rule string) bool {
	command, sub, parted := strings.Cut(rule, "|")
	if !parted || command == "select" || !s.version.atLeast(7, 0) {
		return s.known[command] // what follows is an argument, or not listed
	}
	return s.known[command+"|"+sub]
}

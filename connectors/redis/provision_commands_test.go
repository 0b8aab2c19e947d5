package redis_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/testbed"
)

// harmless are commands without a key that tell and change nothing of others.
var harmless = strings.Fields(`
	auth hello ping echo quit reset select time command command|count command|docs command|getkeys command|getkeysandflags
	command|help command|info command|list acl|whoami client|id client|info client|getname client|setname client|setinfo
	client|reply multi exec discard unwatch script|load script|exists object|help xgroup|help xinfo|help
	unsubscribe punsubscribe sunsubscribe`)

// withheld are commands with keys that no login gets nevertheless: see the
// reasons where rights are made.
var withheld = strings.Fields(`copy move migrate restore restore-asking sort sort_ro pfdebug fcall fcall_ro
	georadius georadiusbymember pfmerge`)

// channels are commands that name channels.
var channels = strings.Fields(`subscribe psubscribe ssubscribe publish spublish`)

// examples are calls of commands whose keys are not always in the same place.
var examples = map[string]string{
	"eval": "x 1 K", "eval_ro": "x 1 K", "evalsha": "x 1 K", "evalsha_ro": "x 1 K", "fcall": "x 1 K", "fcall_ro": "x 1 K",
	"sintercard": "1 K", "zintercard": "1 K", "zdiff": "1 K", "zinter": "1 K", "zunion": "1 K",
	"zdiffstore": "K 1 K", "zinterstore": "K 1 K", "zunionstore": "K 1 K",
	"lmpop": "1 K LEFT", "blmpop": "0 1 K LEFT", "zmpop": "1 K MIN", "bzmpop": "0 1 K MIN",
	"xread": "STREAMS K 0", "xreadgroup": "GROUP g c STREAMS K 0",
	"georadius": "K 1 1 1 m STORE K", "georadiusbymember": "K m 1 m STORE K", "sort": "K STORE K", "sort_ro": "K", "migrate": "h 1 K 0 1",
}

// own is what the keys and channels of the login under test begin with.
const own = "shop:"

// command is what the server says of one.
type command struct {
	name         string
	arity        int64
	flags        []string
	first, last  int64
	step         int64
	isSubcommand bool
}

// commands are all that the server has, with subcommands.
func commands(t *testing.T, c *goredis.Client) []command {
	t.Helper()
	answer, err := c.Do(t.Context(), "COMMAND").Slice()
	if err != nil {
		t.Fatal(err)
	}
	var out []command
	var walk func(list []any, sub bool)
	walk = func(list []any, sub bool) {
		for _, e := range list {
			f := e.([]any)
			out = append(out, command{f[0].(string), f[1].(int64), flat(f[2]), f[3].(int64), f[4].(int64), f[5].(int64), sub})
			if len(f) > 9 {
				walk(f[9].([]any), true)
			}
		}
	}
	walk(answer, false)
	slices.SortFunc(out, func(a, b command) int { return strings.Compare(a.name, b.name) })
	return out
}

// call is a call of the command on a key or channel, and how many times it
// names it.
func (c command) call(name string) (args []any, count int) {
	for _, word := range strings.Split(c.name, "|") {
		args = append(args, word)
	}
	if slices.Contains(channels, c.name) {
		if c.name == "psubscribe" {
			name = own + "*" // only the whole pattern is theirs
		}
		args = append(args, name)
		if strings.HasSuffix(c.name, "publish") {
			args = append(args, "x")
		}
		return args, 1
	}
	if slices.Contains(harmless, c.name) {
		c.first = 0
	}
	if example, ok := examples[c.name]; ok {
		for _, word := range strings.Fields(example) {
			if word == "K" {
				word, count = name, count+1
			}
			args = append(args, word)
		}
		return args, count
	}
	size := max(c.arity, -c.arity)
	last := c.last
	if last < 0 {
		size = max(size, c.first+1-last-1)
		last += size
	}
	for i := int64(len(args)); i < size; i++ {
		args = append(args, "0")
	}
	for i := c.first; c.first > 0 && i <= last; i += max(c.step, 1) {
		args[i], count = name, count+1
	}
	return args, count
}

// TestEveryCommand asks the server of each of its commands whether logins may
// run it: on what is theirs, and on what is another's.
func TestEveryCommand(t *testing.T) {
	server := testbed.StartRedis(t, testbed.RedisOptions{})
	s := open(t, cfg{"port": float64(server.Port)})
	owner := putOne(t, s, "shop")
	reader := owner
	reader.User, reader.Privilege = "reader", connectors.ReadOnly
	frozen := owner
	frozen.User, frozen.Frozen = "frozen", true
	for _, l := range []connectors.Login{reader, frozen} {
		if err := s.PutLogin(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	admin := goredis.NewClient(&goredis.Options{Addr: testbed.Addr(server.Port), Protocol: 2})
	defer admin.Close()
	may := func(l connectors.Login, args []any) bool {
		t.Helper()
		answer, err := admin.Do(t.Context(), append([]any{"ACL", "DRYRUN", l.User}, args...)...).Text()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return answer == "OK"
	}
	list := commands(t, admin)
	if len(list) < 300 {
		t.Fatalf("the server has %d commands only", len(list))
	}
	containers := map[string]bool{}
	for _, c := range list {
		if c.isSubcommand {
			name, _, _ := strings.Cut(c.name, "|")
			containers[name] = true
		}
	}
	for _, c := range list {
		if containers[c.name] && c.name != "command" {
			continue // its subcommands count
		}
		if slices.Contains(c.flags, "movablekeys") && examples[c.name] == "" {
			t.Errorf("%s: nobody said how to call it", c.name)
			continue
		}
		args, count := c.call(own + "x")
		allowed := may(owner, args)
		switch {
		case count == 0:
			if want := slices.Contains(harmless, c.name); allowed != want {
				t.Errorf("%v without a key: allowed is %t", args, allowed)
			}
		case allowed == slices.Contains(withheld, c.name):
			t.Errorf("%v: allowed is %t", args, allowed)
		}
		for i := 0; allowed && i < count; i++ {
			if foreign := replace(args, i); may(owner, foreign) {
				t.Errorf("%v is allowed", foreign)
			}
		}
		changes := slices.Contains(c.flags, "write") || strings.HasSuffix(c.name, "publish")
		for _, l := range []connectors.Login{reader, frozen} {
			if want := allowed && !changes; may(l, args) != want {
				t.Errorf("%v as %s: allowed is not %t", args, l.User, want)
			}
		}
	}
}

// replace names another's key in the place of the n-th.
func replace(args []any, n int) []any {
	out := slices.Clone(args)
	for i, a := range out {
		rest, ok := strings.CutPrefix(a.(string), own)
		if ok && n == 0 {
			out[i] = "shopx:" + rest
		}
		if ok {
			n--
		}
	}
	return out
}

// What clients send by themselves, and scripts and transactions on one's own
// keys.
func TestWhatClientsNeed(t *testing.T) {
	server := testbed.StartRedis(t, testbed.RedisOptions{})
	s := open(t, cfg{"port": float64(server.Port)})
	tenant, err := logIn(t.Context(), server.Port, putOne(t, s, "shop"))
	if err != nil {
		t.Fatal(err)
	}
	defer tenant.Close()
	for _, line := range []string{
		"HELLO 3", "HELLO 2", "SELECT 0", "CLIENT SETNAME app", "CLIENT GETNAME", "CLIENT ID", "CLIENT INFO", "COMMAND", "COMMAND DOCS get",
		"COMMAND COUNT", "ACL WHOAMI", "TIME", "PING", "ECHO x", "SET shop:a 1", "EVAL return(redis.call('GET',KEYS[1])) 1 shop:a",
		"EVAL return(redis.call('GET','shop:a')) 0", "SCRIPT LOAD return(1)", "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0", "WATCH shop:a", "MULTI", "INCR shop:a", "EXEC",
		"PUBLISH shop:news x", "XADD shop:s * a b", "XINFO STREAM shop:s", "HSCAN shop:h 0", "OBJECT ENCODING shop:a", "MEMORY USAGE shop:a",
		"BLPOP shop:l 0.01", "CLIENT REPLY ON", "SUBSCRIBE shop:news",
	} {
		args := []any{}
		for _, word := range strings.Fields(line) {
			args = append(args, word)
		}
		if err := tenant.do(t.Context(), args...); err != nil && !strings.Contains(fmt.Sprint(err), "NOSCRIPT") {
			t.Errorf("%s: %v", line, err)
		}
	}
}

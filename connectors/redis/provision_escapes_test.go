package redis_test

import (
	"context"
	"slices"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/backplane/backplane/connectors/conformance"
)

// escapes are commands that the server must refuse to every login. VICTIM is
// the key of another's value, OTHER another's prefix, OWN one's own.
func escapes() []conformance.Escape {
	list := []conformance.Escape{
		{Name: "read keys that a script does not declare", Try: script("return redis.call('GET', ARGV[1])")},
		{Name: "write keys that a script does not declare", Try: script("return redis.call('SET', ARGV[1], 'x')")},
		{Name: "list keys in a script", Try: script("return redis.call('KEYS', '*')")},
		{Name: "change rights in a script", Try: script("return redis.call('ACL', 'SETUSER', 'x')")},
		{Name: "leave the database in a script", Try: script("return redis.call('SELECT', '1')")},
		{Name: "read in a transaction", Try: transaction},
		{Name: "become the default user", Try: becomeDefault},
	}
	for _, command := range strings.Split(strings.TrimSpace(refusedCommands), "\n") {
		list = append(list, conformance.Escape{Name: command, Try: try(strings.Fields(command))})
	}
	return list
}

const refusedCommands = `
GET VICTIM
SET VICTIM x
DEL VICTIM
EXISTS OWNkey VICTIM
MGET OWNkey VICTIM
RENAME VICTIM OWNstolen
RENAMENX OWNkey OTHERplanted
COPY VICTIM OWNstolen
DUMP VICTIM
OBJECT ENCODING VICTIM
MEMORY USAGE VICTIM
TOUCH VICTIM
TYPE VICTIM
EXPIRE VICTIM 1
WATCH VICTIM
SUNIONSTORE OWNstolen OTHERgoods
SMOVE OTHERgoods OWNgoods tea
BITOP NOT OWNstolen VICTIM
LCS OWNkey VICTIM
PFMERGE VICTIM
PFMERGE OTHERplanted
GEORADIUS OWNgeo 1 1 1 m STORE OTHERplanted
GEORADIUS OWNgeo 1 1 1 m STORE OWNfirst STORE OTHERplanted
GEORADIUSBYMEMBER OWNgeo m 1 m STORE OWNfirst STORE OTHERplanted
GEOSEARCHSTORE OTHERplanted OWNgeo FROMLONLAT 1 1 BYRADIUS 1 m ASC
ZUNIONSTORE OTHERplanted 0 OWNkey
ZDIFFSTORE OTHERplanted 9 OWNkey
XREADGROUP COUNT 1 GROUP g STREAMS STREAMS VICTIM >
XREAD STREAMS VICTIM 0
BLPOP VICTIM 1
ZUNIONSTORE OWNstolen 2 OWNkey OTHERgoods
SORT OWNlist BY VICTIM GET VICTIM
SORT_RO OWNlist BY VICTIM GET VICTIM
EVAL return(1) 1 VICTIM
EVAL_RO return(1) 1 VICTIM
HGETALL backplane:databases
HSET backplane:databases planted x
SUBSCRIBE OTHERnews
PSUBSCRIBE *
PSUBSCRIBE OTHER*
SSUBSCRIBE OTHERnews
PUBLISH OTHERnews x
SPUBLISH OTHERnews x
SUBSCRIBE __keyspace@0__:VICTIM
PUBSUB CHANNELS
PUBSUB NUMPAT
SCAN 0
KEYS *
RANDOMKEY
DBSIZE
FLUSHDB
FLUSHALL
SWAPDB 0 1
MOVE OWNkey 1
SELECT 1
INFO
MONITOR
WAIT 1 1
SORT OWNlist
RESTORE OWNkey 0 x
MIGRATE 127.0.0.1 1 OWNkey 0 1
CONFIG GET *
CONFIG SET dir /
CONFIG REWRITE
DEBUG SLEEP 0
SHUTDOWN NOSAVE
REPLICAOF 127.0.0.1 1
FAILOVER
PSYNC ? -1
SAVE
BGSAVE
BGREWRITEAOF
LASTSAVE
ROLE
CLIENT LIST
CLIENT KILL TYPE normal
CLIENT PAUSE 1
CLIENT UNBLOCK 1
CLIENT NO-EVICT ON
CLIENT TRACKING ON BCAST
CLIENT GETREDIR
ACL LIST
ACL USERS
ACL GETUSER default
ACL SETUSER x on
ACL SETUSER SELF +@all ~*
ACL DELUSER default
ACL LOG
ACL SAVE
ACL LOAD
SCRIPT FLUSH
SCRIPT KILL
SCRIPT DEBUG SYNC
FUNCTION LIST
FUNCTION FLUSH
FUNCTION DUMP
FUNCTION KILL
FUNCTION STATS
FCALL f 0
MODULE LIST
MODULE LOAD x
SLOWLOG GET
LATENCY LATEST
MEMORY STATS
MEMORY DOCTOR
MEMORY PURGE
CLUSTER INFO
CLUSTER KEYSLOT x
COMMAND-THAT-IS-NOT
`

// nothings are errors of calls that reach nothing, by whomever they are made.
var nothings = []string{"unknown command", "at least 1 input key", "syntax error"}

// try sends one command.
func try(words []string) func(context.Context, conformance.Attack) error {
	return func(ctx context.Context, a conformance.Attack) error {
		names := strings.NewReplacer("VICTIM", a.Victim.Database+":"+a.Place+":"+a.Key, "OTHER", a.Victim.Database+":",
			"OWN", a.Self.Database+":", "SELF", a.Self.User)
		args := make([]any, len(words))
		for i, w := range words {
			args[i] = names.Replace(w)
		}
		err := a.Session.(*tenant).do(ctx, args...)
		if err != nil && slices.ContainsFunc(nothings, func(s string) bool { return strings.Contains(err.Error(), s) }) {
			return conformance.ErrNothing
		}
		return err
	}
}

// script runs a script that does not declare the victim's key.
func script(code string) func(context.Context, conformance.Attack) error {
	return func(ctx context.Context, a conformance.Attack) error {
		err := a.Session.(*tenant).do(ctx, "EVAL", code, 0, a.Victim.Database+":"+a.Place+":"+a.Key)
		if err != nil && strings.Contains(err.Error(), "not allowed from script") {
			return conformance.ErrNothing
		}
		return err
	}
}

func transaction(ctx context.Context, a conformance.Attack) error {
	var err error
	_, exec := a.Session.(*tenant).conn.TxPipelined(ctx, func(p goredis.Pipeliner) error {
		get := p.Get(ctx, a.Victim.Database+":"+a.Place+":"+a.Key)
		defer func() { err = get.Err() }()
		return nil
	})
	if exec != nil && strings.HasPrefix(exec.Error(), "EXECABORT") {
		return conformance.ErrNothing
	}
	if exec != nil {
		return exec
	}
	return err
}

// becomeDefault drops the login, which must not leave one with more rights.
func becomeDefault(ctx context.Context, a conformance.Attack) error {
	s := a.Session.(*tenant)
	if err := s.do(ctx, "RESET"); err != nil {
		return err
	}
	err := s.do(ctx, "GET", a.Victim.Database+":"+a.Place+":"+a.Key)
	if err != nil && strings.HasPrefix(err.Error(), "NOAUTH") {
		return conformance.ErrNothing
	}
	return err
}

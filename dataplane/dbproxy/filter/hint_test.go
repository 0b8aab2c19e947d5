package filter

import (
	"reflect"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

var (
	toMaster = dbproxy.Hint{Kind: dbproxy.HintMaster}
	toSlave  = dbproxy.Hint{Kind: dbproxy.HintSlave}
	toLast   = dbproxy.Hint{Kind: dbproxy.HintLast}
)

func toServer(name string) dbproxy.Hint { return dbproxy.Hint{Kind: dbproxy.HintServer, Value: name} }

func TestParseHint(t *testing.T) {
	lag := dbproxy.Hint{Kind: dbproxy.HintParam, Name: "max_slave_replication_lag", Value: "10"}
	for _, tt := range []struct {
		text string
		want hintComment
		ok   bool
	}{
		{" maxscale route to master", hintComment{hint: toMaster, given: true}, true},
		{"maxscale  route\tto slave ", hintComment{hint: toSlave, given: true}, true},
		{" MaxScale ROUTE To LAST", hintComment{hint: toLast, given: true}, true},
		{" maxscale route to server Db1", hintComment{hint: toServer("Db1"), given: true}, true},
		{" maxscale route to server 'a b'", hintComment{hint: toServer("a b"), given: true}, true},
		{" maxscale route to all", hintComment{hint: dbproxy.Hint{Kind: dbproxy.HintAll}, given: true}, true},
		{" maxscale max_slave_replication_lag=10", hintComment{hint: lag, given: true}, true},
		{" maxscale max_slave_replication_lag = 10", hintComment{hint: lag, given: true}, true},
		{" maxscale h prepare route to master", hintComment{action: hintPrepare, name: "h", hint: toMaster, given: true}, true},
		{" maxscale h begin", hintComment{action: hintBegin, name: "h"}, true},
		{" maxscale h begin route to server db1", hintComment{action: hintBegin, name: "h", hint: toServer("db1"), given: true}, true},
		{" maxscale begin route to slave", hintComment{action: hintBegin, hint: toSlave, given: true}, true},
		{" maxscale end", hintComment{action: hintEnd}, true},
		{"", hintComment{}, false}, {" max", hintComment{}, false}, {" maxscale", hintComment{}, false}, {" maxscales route to master", hintComment{}, false},
		{" maxscale route to", hintComment{}, false}, {" maxscale route master", hintComment{}, false}, {" maxscale route to server", hintComment{}, false},
		{" maxscale route to master now", hintComment{}, false}, {" maxscale begin", hintComment{}, false}, {" maxscale h prepare", hintComment{}, false},
		{" maxscale a=", hintComment{}, false}, {" maxscale =a", hintComment{}, false}, {" maxscale route to server 'a", hintComment{}, false}, {" maxscale end now", hintComment{}, false},
		{" route to master", hintComment{}, false}, {" maxscale a b c d e f g h i j k l", hintComment{}, false}, {" maxscale ''=a", hintComment{}, false},
	} {
		got, ok := parseHint([]byte(tt.text))
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("%q: %+v, %v", tt.text, got, ok)
		}
	}
}

// referenceHint is parseHint for text without quotes, done by normal forms.
func referenceHint(text string) (hintComment, bool) {
	words := strings.FieldsFunc(strings.ReplaceAll(text, "=", " = "), func(c rune) bool { return strings.ContainsRune(" \t\r\n\v\f", c) })
	plain := strings.ToLower(strings.Join(words, " "))
	routes := map[string]dbproxy.Hint{"route to master": toMaster, "route to slave": toSlave, "route to last": toLast, "route to all": {Kind: dbproxy.HintAll}}
	rest, ok := strings.CutPrefix(plain, "maxscale ")
	if !ok || len(words) > maxHintWords {
		return hintComment{}, false
	}
	words = words[1:]
	var c hintComment
	route := func(from int) bool {
		tail := strings.Join(strings.Fields(rest)[min(from, len(words)):], " ")
		if h, ok := routes[tail]; ok {
			c.hint, c.given = h, true
		} else if strings.HasPrefix(tail, "route to server ") && len(words) == from+4 {
			c.hint, c.given = toServer(words[from+3]), true
		} else if len(words) == from+3 && words[from+1] == "=" && words[from] != "=" {
			c.hint, c.given = dbproxy.Hint{Kind: dbproxy.HintParam, Name: words[from], Value: words[from+2]}, true
		}
		return c.given
	}
	lower := strings.Fields(rest)
	switch {
	case route(0):
		return c, true
	case rest == "end":
		c.action = hintEnd
		return c, true
	case lower[0] == "begin":
		c.action = hintBegin
		return c, route(1)
	case len(lower) > 1 && lower[1] == "begin":
		c.action, c.name = hintBegin, words[0]
		return c, route(2) || len(words) == 2
	case len(lower) > 1 && lower[1] == "prepare":
		c.action, c.name = hintPrepare, words[0]
		return c, route(2)
	}
	return hintComment{}, false
}

func FuzzParseHint(f *testing.F) {
	for _, seed := range []string{
		" maxscale route to master", "maxscale a=b", " maxscale n prepare route to server x", " maxscale n begin", "maxscale begin a = b", " maxscale end", "maxscale begin begin", "maxscale route begin route to last", "maxscale '", "maxscale \"a b\" begin", "maxscale end begin", "maxscale = = =",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := parseHint([]byte(text))
		if ok && got.action == hintOnce && !got.given {
			t.Errorf("%q: a hint without a hint", text)
		}
		ascii := strings.IndexFunc(text, func(c rune) bool { return c >= 0x80 }) < 0
		if !ascii || strings.ContainsAny(text, `'"`) {
			return
		}
		want, wanted := referenceHint(text)
		if ok != wanted || ok && got != want {
			t.Errorf("%q: %+v, %v; the reference says %+v, %v", text, got, ok, want, wanted)
		}
	})
}

func TestHintFilter(t *testing.T) {
	c := newChain(t, made(t, Hint(), nil), &fakeRouter{})
	for _, tt := range []struct {
		sql  string
		want []dbproxy.Hint
	}{
		{"select 1", nil},
		{"select 1 -- maxscale route to master", []dbproxy.Hint{toMaster}},
		{"select 1; -- maxscale route to master", []dbproxy.Hint{toMaster}},
		{"select 1 # maxscale route to master\n", []dbproxy.Hint{toMaster}},
		{"select /* maxscale route to slave */ 1", []dbproxy.Hint{toSlave}},
		{"/* maxscale route to server server2 */ select 1", []dbproxy.Hint{toServer("server2")}},
		{"select 1 /* other */ /* maxscale route to slave */", nil},
		{"select '-- maxscale route to master'", nil},
		{"select 1", nil},
		{"select 1 -- maxscale named prepare route to server db1", nil},
		{"select 1 -- maxscale unknown begin", nil},
		{"select 1 -- maxscale named begin", []dbproxy.Hint{toServer("db1")}},
		{"select 1", []dbproxy.Hint{toServer("db1")}},
		{"select 1 -- maxscale begin route to slave", []dbproxy.Hint{toSlave}},
		{"select 1 -- maxscale route to master", []dbproxy.Hint{toMaster}},
		{"select 1", []dbproxy.Hint{toSlave}},
		{"select 1 -- maxscale end", []dbproxy.Hint{toServer("db1")}},
		{"select 1 -- maxscale end", nil},
		{"select 1 -- maxscale end", nil},
		{"select 1 -- maxscale other begin route to master", []dbproxy.Hint{toMaster}},
		{"select 1 -- maxscale end", nil},
		{"select 1 -- maxscale other begin", []dbproxy.Hint{toMaster}},
	} {
		c.query(tt.sql)
		if got := c.router.last().hints; !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %v, not %v", tt.sql, got, tt.want)
		}
	}
	c.must(wire.ComResetConnection, nil)
	c.query("select 1")
	if got := c.router.last().hints; got != nil {
		t.Errorf("after a reset: %v", got)
	}
	c.query("select 1 -- maxscale route to slave", toMaster)
	if got := c.router.last().hints; !reflect.DeepEqual(got, []dbproxy.Hint{toMaster, toSlave}) {
		t.Errorf("after another filter: %v", got)
	}
}

func TestHintFilterPrepared(t *testing.T) {
	c := newChain(t, made(t, Hint(), nil), &fakeRouter{})
	c.must(wire.ComStmtPrepare, []byte("select ? -- maxscale route to master")) // 1
	if got := c.router.last().hints; got != nil {
		t.Errorf("PREPARE: %v", got)
	}
	c.must(wire.ComStmtPrepare, []byte("select ?")) // 2
	check := func(command wire.Command, id uint32, want ...dbproxy.Hint) {
		t.Helper()
		c.must(command, statement(id))
		if got := c.router.last().hints; !reflect.DeepEqual(got, want) {
			t.Errorf("%v of %d: %v, not %v", command, id, got, want)
		}
	}
	check(wire.ComStmtExecute, 1, toMaster)
	check(wire.ComStmtSendLongData, 1, toMaster)
	check(wire.ComStmtReset, 1, toMaster)
	check(wire.ComStmtExecute, 2)
	check(wire.ComStmtExecute, lastPrepared)
	c.query("select 1 -- maxscale begin route to slave")
	check(wire.ComStmtExecute, 1, toMaster)
	check(wire.ComStmtExecute, 2, toSlave)
	c.must(wire.ComPing, nil)
	if got := c.router.last().hints; got != nil {
		t.Errorf("PING: %v", got)
	}
	check(wire.ComStmtClose, 1)
	check(wire.ComStmtExecute, 1, toSlave)
	c.must(wire.ComStmtPrepare, []byte("select ? -- maxscale route to last"))
	check(wire.ComStmtExecute, lastPrepared, toLast)
	c.must(wire.ComChangeUser, nil)
	check(wire.ComStmtExecute, lastPrepared)
}

func TestNamedServer(t *testing.T) {
	c := newChain(t, made(t, NamedServer(), map[string]any{
		"match01": "^Select.*TableOne$", "target01": "server2, server3", "match22": "^SELECT.*TableTwo$", "target22": "->master", "match03": "one", "target03": "->slave", "match25": "all", "target25": "->all",
	}), &fakeRouter{})
	for _, tt := range []struct {
		sql  string
		want []dbproxy.Hint
	}{
		{"select a from tableone", []dbproxy.Hint{toServer("server2"), toServer("server3")}},
		{"select a from tabletwo", []dbproxy.Hint{toMaster}}, {"select one", []dbproxy.Hint{toSlave}}, {"select 1", nil}, {"ALL", []dbproxy.Hint{{Kind: dbproxy.HintAll}}},
	} {
		c.query(tt.sql)
		if got := c.router.last().hints; !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %v, not %v", tt.sql, got, tt.want)
		}
	}
	c.must(wire.ComStmtPrepare, []byte("select one"))
	if got := c.router.last().hints; got != nil {
		t.Errorf("PREPARE: %v", got)
	}
	id := uint32(len(c.router.requests))
	for _, command := range []wire.Command{wire.ComStmtExecute, wire.ComStmtClose, wire.ComStmtExecute} {
		c.must(command, statement(id))
	}
	n := len(c.router.requests)
	if got := c.router.requests[n-3].hints; !reflect.DeepEqual(got, []dbproxy.Hint{toSlave}) {
		t.Errorf("EXECUTE: %v", got)
	}
	if got := c.router.last().hints; got != nil {
		t.Errorf("EXECUTE of a closed one: %v", got)
	}
}

func TestNamedServerParameters(t *testing.T) {
	f := made(t, NamedServer(), map[string]any{"match": "users", "target": "server2", "user": "john", "source": "192.168.%.%"})
	want := map[string]any{"mappings": []any{map[string]any{"match": "users", "targets": []string{"server2"}}}, "user": "john", "source": "192.168.%.%"}
	if got := f.Diagnostics(); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	router := &fakeRouter{}
	if c := newChain(t, f, router); c.handler != dbproxy.Handler(router) {
		t.Error("a session of another user is taken")
	}
	refuses(t, NamedServer(), nil, "match01")
	refuses(t, NamedServer(), map[string]any{"match01": "a"}, "target01")
	refuses(t, NamedServer(), map[string]any{"target01": "a"}, "match01")
	refuses(t, NamedServer(), map[string]any{"match01": "(", "target01": "a"}, "match01")
	refuses(t, NamedServer(), map[string]any{"match01": "a", "target01": "->nowhere"}, "target01")
	refuses(t, NamedServer(), map[string]any{"match01": "a", "target01": "a,,b"}, "target01")
	refuses(t, NamedServer(), map[string]any{"match01": "a", "target01": "a", "match": "a", "target": "a"}, "match")
	refuses(t, NamedServer(), map[string]any{"match01": "a", "target01": "a", "source": "%"}, "source")
	refuses(t, NamedServer(), map[string]any{"match26": "a"}, "match26")
}

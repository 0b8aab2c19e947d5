package redis_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/conformance"
	"github.com/backplane/backplane/connectors/redis"
	"github.com/backplane/backplane/testbed"
)

func TestProvisioner(t *testing.T) {
	server := testbed.StartRedis(t, testbed.RedisOptions{
		Password: testbed.NastyPassword, Durable: true,
		// So that it is the rights that keep tenants out.
		Config: []string{"enable-debug-command yes", "enable-module-command yes"},
	})
	admin := cfg{"host": "127.0.0.1", "port": float64(server.Port), "password": testbed.NastyPassword}
	conformance.Provisioner(t, conformance.ProvisionerSubject{
		Provisioner: redis.New(),
		Admin:       admin,
		At:          func(host string, port int) cfg { return cfg{"host": host, "port": float64(port)} },
		LogIn: func(ctx context.Context, l connectors.Login) (conformance.Session, error) {
			return logIn(ctx, server.Port, l)
		},
		Refused:        refused,
		SharedEndpoint: true,
		Escapes:        escapes(),
		Stop:           server.Stop,
		Start:          func(t *testing.T) { server.Restart(t) },
	})
}

// refused knows the server's own refusals and those inside a script.
func refused(err error) bool {
	return err != nil && (strings.HasPrefix(err.Error(), "NOPERM") || strings.HasPrefix(err.Error(), "ERR The user executing the script can't"))
}

// tenant keeps values under database:place:key, and the keys of a place in the
// set database:place, since no login may list keys.
type tenant struct {
	client *goredis.Client
	conn   *goredis.Conn
	prefix string
}

// logIn makes one connection, with the library that most Go programs use and
// all that it says on its own when it connects. The server asks for the
// database with each key only, so it is asked for one.
func logIn(ctx context.Context, port int, l connectors.Login) (*tenant, error) {
	c := goredis.NewClient(&goredis.Options{
		Addr: testbed.Addr(port), Username: l.User, Password: l.Password, ClientName: "tenant", MaxRetries: -1, DialerRetries: 1,
	})
	s := &tenant{client: c, conn: c.Conn(), prefix: l.Database + ":"}
	if _, err := s.Get(ctx, "goods", "tea"); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *tenant) do(ctx context.Context, args ...any) error {
	err := s.conn.Do(ctx, args...).Err()
	if errors.Is(err, goredis.Nil) {
		return nil
	}
	return err
}

func (s *tenant) Make(context.Context, string) error  { return nil }
func (s *tenant) Alter(context.Context, string) error { return nil }

func (s *tenant) Drop(ctx context.Context, place string) error {
	keys, err := s.conn.SMembers(ctx, s.prefix+place).Result()
	if err != nil {
		return err
	}
	all := []string{s.prefix + place}
	for _, k := range keys {
		all = append(all, s.prefix+place+":"+k)
	}
	return s.conn.Del(ctx, all...).Err()
}

func (s *tenant) Put(ctx context.Context, place, key, value string) error {
	if err := s.conn.Set(ctx, s.prefix+place+":"+key, value, 0).Err(); err != nil {
		return err
	}
	return s.conn.SAdd(ctx, s.prefix+place, key).Err()
}

func (s *tenant) Get(ctx context.Context, place, key string) (string, error) {
	v, err := s.conn.Get(ctx, s.prefix+place+":"+key).Result()
	if errors.Is(err, goredis.Nil) {
		err = nil
	}
	return v, err
}

func (s *tenant) Delete(ctx context.Context, place, key string) error {
	if err := s.conn.SRem(ctx, s.prefix+place, key).Err(); err != nil {
		return err
	}
	return s.conn.Del(ctx, s.prefix+place+":"+key).Err()
}

func (s *tenant) Count(ctx context.Context, place string) (int, error) {
	n, err := s.conn.SCard(ctx, s.prefix+place).Result()
	return int(n), err
}

func (s *tenant) Close() error { return errors.Join(s.conn.Close(), s.client.Close()) }

// open logs the administrator of a server in.
func open(t *testing.T, change cfg) connectors.DatabaseServer {
	t.Helper()
	c, faults := redis.New().Spec().Validate(conformance.With(cfg{"host": "127.0.0.1"}, change), connectors.Env{})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	s, err := redis.New().Open(t.Context(), connectors.Env{}, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// putOne makes a database with one owner.
func putOne(t *testing.T, s connectors.DatabaseServer, name string) connectors.Login {
	t.Helper()
	l := connectors.Login{Database: name, User: "u_" + name, Password: "Secret-1", Privilege: connectors.Owner}
	if err := errors.Join(s.CreateDatabase(t.Context(), name), s.PutLogin(t.Context(), l)); err != nil {
		t.Fatal(err)
	}
	return l
}

// works fails the test unless the login can write.
func works(t *testing.T, port int, l connectors.Login) {
	t.Helper()
	s, err := logIn(t.Context(), port, l)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Put(t.Context(), "goods", "tea", "green"); err != nil {
		t.Error(err)
	}
}

// Beside the configuration, which the suite covers, users may be kept in a file
// of their own.
func TestLoginsOutliveARestartInAnACLFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users.acl")
	if err := os.WriteFile(file, []byte("user default on >admin ~* &* +@all\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := testbed.StartRedis(t, testbed.RedisOptions{Password: "admin", Durable: true, Config: []string{"aclfile " + file}})
	s := open(t, cfg{"port": float64(server.Port), "password": "admin"})
	l := putOne(t, s, "shop")
	gone := l
	gone.User = "gone"
	if err := errors.Join(s.PutLogin(t.Context(), gone), s.DropLogin(t.Context(), gone.Database, gone.User)); err != nil {
		t.Fatal(err)
	}
	server.Restart(t)
	works(t, server.Port, l)
	if has, err := s.HasLogin(t.Context(), "shop", gone.User); has || err != nil {
		t.Errorf("the dropped login: %t, %v", has, err)
	}
}

func TestLoginsAreMadeWhereNothingCanBeKept(t *testing.T) {
	server := testbed.StartRedis(t, testbed.RedisOptions{Config: []string{`rename-command CONFIG ""`}})
	s := open(t, cfg{"port": float64(server.Port)})
	works(t, server.Port, putOne(t, s, "shop"))
	if facts, err := s.About(t.Context()); err != nil || len(facts.Lacks) > 0 {
		t.Errorf("got %+v, %v", facts, err)
	}
}

func TestProvisionerOverTLS(t *testing.T) {
	ca := testbed.NewCA(t)
	cert := ca.Issue(t, "127.0.0.1")
	server := testbed.StartRedis(t, testbed.RedisOptions{Cert: &cert, TLSOnly: true})
	change := cfg{"port": float64(server.TLSPort), "use_tls": true, "tls_ca": ca.PEM}
	if has, err := open(t, change).HasDatabase(t.Context(), "shop"); has || err != nil {
		t.Errorf("got %t, %v", has, err)
	}
	delete(change, "tls_ca")
	c, _ := redis.New().Spec().Validate(conformance.With(cfg{"host": "127.0.0.1"}, change), connectors.Env{})
	var f *connectors.Failure
	if _, err := redis.New().Open(t.Context(), connectors.Env{}, c); !errors.As(err, &f) || f.Code != connectors.TLSUntrusted {
		t.Errorf("without the authority: %v", err)
	}
	if end := redis.New().Endpoint(c, "shop"); end != "rediss://<user>:<password>@"+testbed.Addr(server.TLSPort)+"/0" {
		t.Errorf("endpoint %s", end)
	}
}

// What ConfigFor returns is a service that can be tested like any other.
func TestConfigurationOfALogin(t *testing.T) {
	server := testbed.StartRedis(t, testbed.RedisOptions{Password: testbed.NastyPassword})
	change := cfg{"port": float64(server.Port), "password": testbed.NastyPassword, "database": float64(3)}
	l := putOne(t, open(t, change), "shop")
	c, _ := redis.New().Spec().Validate(conformance.With(cfg{"host": "127.0.0.1"}, change), connectors.Env{})
	config, err := redis.New().ConfigFor(c, l)
	if err != nil {
		t.Fatal(err)
	}
	if _, f := connectors.Run(t.Context(), redis.New(), config, connectors.Env{}, 0); f != nil {
		t.Errorf("got %v", f)
	}
	if c["username"] != nil || c["database"] != int64(3) {
		t.Errorf("the administrator's configuration changed: %v", c)
	}
}

// The server closes idle connections, or restarts, between two calls.
func TestConnectionIsMadeAnew(t *testing.T) {
	server := testbed.StartRedis(t, testbed.RedisOptions{Durable: true})
	s := open(t, cfg{"port": float64(server.Port)})
	l := putOne(t, s, "shop")
	server.Restart(t)
	if has, err := s.HasLogin(t.Context(), l.Database, l.User); err != nil || !has {
		t.Errorf("after the restart: %t, %v", has, err)
	}
}

func TestPasswordsAreNotInTheServersLogs(t *testing.T) {
	server := testbed.StartRedis(t, testbed.RedisOptions{Config: []string{"slowlog-log-slower-than 0"}})
	s := open(t, cfg{"port": float64(server.Port)})
	watcher := goredis.NewClient(&goredis.Options{Addr: testbed.Addr(server.Port), MaxRetries: -1})
	defer watcher.Close()
	monitor, err := net.Dial("tcp", testbed.Addr(server.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer monitor.Close()
	heard := bufio.NewReader(monitor)
	if _, err := monitor.Write([]byte("MONITOR\r\n")); err != nil {
		t.Fatal(err)
	}
	if line, err := heard.ReadString('\n'); err != nil || line != "+OK\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	l := putOne(t, s, "shop")
	wrong := l
	wrong.User = "nobody"
	if _, err := logIn(t.Context(), server.Port, wrong); err == nil {
		t.Error("nobody got in")
	}
	if err := watcher.Echo(t.Context(), "the end").Err(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for line := ""; !strings.Contains(line, "the end"); {
		if line, err = heard.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		text.WriteString(line)
	}
	for _, ask := range [][]any{{"SLOWLOG", "GET", -1}, {"ACL", "LOG"}, {"ACL", "LIST"}} {
		v, err := watcher.Do(t.Context(), ask...).Result()
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(strings.Join(flat(v), " "))
	}
	if !strings.Contains(text.String(), l.User) || strings.Contains(text.String(), l.Password) {
		t.Errorf("the server tells: %s", text.String())
	}
}

// flat are all texts in an answer.
func flat(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, e := range v {
			out = append(out, flat(e)...)
		}
		return out
	case map[any]any:
		var out []string
		for k, e := range v {
			out = append(append(out, flat(k)...), flat(e)...)
		}
		slices.Sort(out)
		return out
	}
	return nil
}

func TestWhatServersLack(t *testing.T) {
	nasty := testbed.NastyPassword
	for name, c := range map[string]struct {
		options testbed.RedisOptions
		user    string
		want    []string
	}{
		"sentinel":        {testbed.RedisOptions{Sentinel: true}, "", []string{"Sentinel"}},
		"cluster":         {testbed.RedisOptions{Password: nasty, Cluster: true}, "", []string{"Cluster"}},
		"no users":        {testbed.RedisOptions{Password: nasty, Config: []string{`rename-command ACL ""`}}, "", []string{"ACL GETUSER", "ACL DELUSER", "ACL USERS", "ACL LIST"}},
		"no right to ask": {testbed.RedisOptions{Users: []testbed.RedisUser{{Name: "app", Password: nasty, Rules: "on ~* +@all -info"}}}, "app", []string{"INFO"}},
		"few rights":      {testbed.RedisOptions{Users: []testbed.RedisUser{{Name: "app", Password: nasty, Rules: "on ~* +@all -client -restore -unlink"}}}, "app", []string{"CLIENT KILL", "UNLINK", "RESTORE"}},
		"other keys":      {testbed.RedisOptions{Users: []testbed.RedisUser{{Name: "app", Password: nasty, Rules: "on ~app:* +@all"}}}, "app", []string{"HDEL", "HKEYS", "UNLINK", "MEMORY", "PTTL", "DUMP", "RESTORE"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := testbed.StartRedis(t, c.options)
			change := cfg{"port": float64(server.Port)}
			if c.options.Password != "" || c.user != "" {
				change["password"] = nasty
			}
			if c.user != "" {
				change["username"] = c.user
			}
			facts, err := open(t, change).About(t.Context())
			if err != nil || len(facts.Lacks) != len(c.want) {
				t.Fatalf("got %+v, %v", facts, err)
			}
			for i, want := range c.want {
				if !strings.Contains(facts.Lacks[i], want) {
					t.Errorf("lacks %q, want %s in it", facts.Lacks[i], want)
				}
			}
		})
	}
}

// Keys that somebody keeps under a name must not fall to who gets a database of
// that name, nor go with it.
func TestKeysOfOthersAreNoDatabase(t *testing.T) {
	server := testbed.StartRedis(t, testbed.RedisOptions{})
	s := open(t, cfg{"port": float64(server.Port)})
	other := goredis.NewClient(&goredis.Options{Addr: testbed.Addr(server.Port)})
	defer other.Close()
	if err := other.Set(t.Context(), "app:session:1", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if has, err := s.HasDatabase(t.Context(), "app"); err != nil || !has {
		t.Errorf("HasDatabase: %t, %v", has, err)
	}
	if err := s.CreateDatabase(t.Context(), "app"); !errors.Is(err, connectors.ErrExists) || connectors.MayPass(err) {
		t.Errorf("create: %v", err)
	}
	if err := s.DropDatabase(t.Context(), "app"); err != nil {
		t.Errorf("drop: %v", err)
	}
	if n, err := other.Exists(t.Context(), "app:session:1").Result(); err != nil || n != 1 {
		t.Errorf("the key is gone: %d, %v", n, err)
	}
}

// Users that somebody else made, and those that the server lives by, stay.
func TestUsersOfOthersAreNotTouched(t *testing.T) {
	nasty := testbed.NastyPassword
	server := testbed.StartRedis(t, testbed.RedisOptions{Users: []testbed.RedisUser{
		{Name: "boss", Password: nasty, Rules: "on ~* &* +@all"}, {Name: "app", Password: nasty, Rules: "on ~app:* +@read"},
		{Name: "chosen", Password: nasty, Rules: "on ~shop:* +@read (~* +get)"},
	}})
	s := open(t, cfg{"port": float64(server.Port), "username": "boss", "password": nasty})
	l := putOne(t, s, "shop")
	for _, user := range []string{"boss", "default", "app", "chosen"} {
		l.User = user
		if err := s.PutLogin(t.Context(), l); !errors.Is(err, connectors.ErrExists) || connectors.MayPass(err) {
			t.Errorf("put %s: %v", user, err)
		}
	}
	for _, user := range []string{"boss", "default"} {
		if err := s.DropLogin(t.Context(), "shop", user); !errors.Is(err, connectors.ErrExists) {
			t.Errorf("drop %s: %v", user, err)
		}
		if err := s.CutSessions(t.Context(), "shop", user); !errors.Is(err, connectors.ErrExists) {
			t.Errorf("cut %s: %v", user, err)
		}
	}
	if err := s.CreateDatabase(t.Context(), "backplane"); err == nil {
		t.Error("the reserved name was taken")
	}
}

// Times to live are part of what is dumped, and no key is left of an earlier
// try.
func TestDumpKeepsTimesToLive(t *testing.T) {
	server := testbed.StartRedis(t, testbed.RedisOptions{})
	s := open(t, cfg{"port": float64(server.Port)})
	other := goredis.NewClient(&goredis.Options{Addr: testbed.Addr(server.Port)})
	defer other.Close()
	putOne(t, s, "from")
	putOne(t, s, "to")
	ctx := t.Context()
	other.Set(ctx, "from:soon", "x", time.Hour)
	other.ZAdd(ctx, "from:scores", goredis.Z{Score: 1.5, Member: "\x00\xff"})
	other.XAdd(ctx, &goredis.XAddArgs{Stream: "from:", Values: []string{"a", "b"}})
	other.Set(ctx, "to:rest", "x", 0)
	var dump strings.Builder
	if err := errors.Join(s.Dump(ctx, "from", &dump), s.Load(ctx, "to", strings.NewReader(dump.String()))); err != nil {
		t.Fatal(err)
	}
	ttl, err := other.TTL(ctx, "to:soon").Result()
	if err != nil || ttl <= 0 || ttl > time.Hour {
		t.Errorf("time to live %s, %v", ttl, err)
	}
	if score, err := other.ZScore(ctx, "to:scores", "\x00\xff").Result(); err != nil || score != 1.5 {
		t.Errorf("score %g, %v", score, err)
	}
	if n, err := other.XLen(ctx, "to:").Result(); err != nil || n != 1 {
		t.Errorf("the key without a name of its own: %d, %v", n, err)
	}
	if n, err := other.Exists(ctx, "to:rest").Result(); err != nil || n != 0 {
		t.Errorf("what was there before: %d, %v", n, err)
	}
	for cut := range dump.Len() {
		if err := s.Load(ctx, "to", strings.NewReader(dump.String()[:cut])); err == nil {
			t.Errorf("%d of %d bytes were taken for the whole", cut, dump.Len())
		}
	}
}

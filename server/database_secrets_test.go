package server_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	goredis "github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// echo stands before a Redis server. When it is loud it says back what it is
// told in secret, as a part of an error.
type echo struct {
	port int

	mu     sync.Mutex
	loud   bool
	hashes map[string]bool // of passwords, as they went by
}

func (e *echo) set(loud bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.loud = loud
}

// words are all that went by and is nobody's business.
func (e *echo) words() (out []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for h := range e.hashes {
		out = append(out, h)
	}
	return out
}

var hashShape = regexp.MustCompile(`#[0-9a-f]{64}`)

// hear notes what was said and reports whether it is to be said back.
func (e *echo) hear(text []byte) (back bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, h := range hashShape.FindAll(text, -1) {
		e.hashes[string(h[1:])] = true
	}
	return e.loud && (bytes.Contains(text, []byte("SETUSER")) || bytes.Contains(text, []byte("AUTH")))
}

func startEcho(t *testing.T, port int) *echo {
	t.Helper()
	e := &echo{hashes: map[string]bool{}}
	e.port = testbed.Peer(t, func(c net.Conn) {
		server, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return
		}
		defer server.Close()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			io.Copy(c, server) //nolint:errcheck // either side has gone
			c.Close()
		}()
		buf := make([]byte, 1<<16)
		for {
			n, err := c.Read(buf)
			if err != nil {
				break
			}
			if e.hear(buf[:n]) {
				fmt.Fprintf(c, "-ERR you said %q\r\n", buf[:n]) //nolint:errcheck // the client has gone
				continue
			}
			if _, err := server.Write(buf[:n]); err != nil {
				break
			}
		}
		server.Close()
		<-ended
	})
	return e
}

// secretary collects passwords that answers are to show, which the tape does
// not hear.
type secretary struct {
	*estate
	words []string
}

// password notes the password that a call returned.
func (x *secretary) password(t *testing.T, c *dbaasv1.Credential, err error) {
	t.Helper()
	good(t, err)
	if len(c.GetPassword()) != 10 {
		t.Fatalf("no password in the answer about %s", c.GetUser())
	}
	x.words = append(x.words, c.GetPassword())
}

// read notes the password of a credential.
func (x *secretary) read(t *testing.T, url string) (user string) {
	t.Helper()
	c, err := x.Credentials.GetCredential(x.ctx, &dbaasv1.GetCredentialRequest{Id: int64(number(t, tail(url)))})
	x.password(t, c, err)
	return c.GetUser()
}

// TestDatabasePasswordsStayInside makes passwords in every way in which they
// come to be, does all that can be done with what has them, against a server
// that says back what it hears too, and then looks for them in all that the
// program has written or answered, but for the answers that are to show them.
func TestDatabasePasswordsStayInside(t *testing.T) {
	t.Parallel()
	s := start(t)
	redis := testbed.StartRedis(t, testbed.RedisOptions{Password: redisPassword})
	parrot := startEcho(t, redis.Port)
	x := &secretary{estate: estateAt(t, s, parrot.port), words: []string{"Zebra9"}}
	tape := &tape{next: s.Client.Transport}
	s.Client.Transport = tape // what shows passwords goes over gRPC

	db := x.lives(t)
	x.writeContent(t, redis.Port, db)
	x.looksAround(t, tape, db)
	x.fails(t, parrot, db)
	s.Do(t, "POST", "/api/keys/rotate", nil)
	x.looksAround(t, tape, db)
	eventsUntil(t, s, "/api/audit/watch?index=0", servertest.Basic("admin", servertest.Password), `"RotateKeys"`)()

	words := append(x.words, parrot.words()...)
	if len(words) < 20 {
		t.Fatalf("just %d secrets were made", len(words))
	}
	places := map[string]string{"answers": tape.String(), "log": s.Log.String()}
	for name, text := range below(t, s.DataDir) {
		places[name] = text
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	snapshots := 0
	for name, text := range below(t, s.DataDir) {
		places[name+" at rest"] = text
		if strings.Contains(name, "snapshot") {
			snapshots++
		}
	}
	if snapshots == 0 {
		t.Errorf("there are no snapshots among the files")
	}
	for place, text := range places {
		wantNone(t, place, text, words)
	}
}

// lives makes a database whose logins have had every kind of change.
func (x *secretary) lives(t *testing.T) *dbaasv1.Database {
	t.Helper()
	db, err := x.Databases.CreateDatabase(x.ctx, &dbaasv1.CreateDatabaseRequest{Name: "lives", Plan: x.plan, Environment: x.environment, Register: true})
	good(t, err)
	first := db.GetCredentials()[0]
	id := int64(number(t, tail(first)))
	x.read(t, first)
	c, err := x.Credentials.ResetPassword(x.ctx, &dbaasv1.ResetPasswordRequest{Id: id})
	x.password(t, c, err)
	for _, grace := range []string{"1h", "0s", ""} {
		c, err = x.Credentials.RotateCredential(x.ctx, &dbaasv1.RotateCredentialRequest{Id: id, Grace: grace})
		x.password(t, c, err)
	}
	c, err = x.Credentials.CreateCredential(x.ctx, &dbaasv1.CreateCredentialRequest{User: "leased", Database: db.GetLinks().GetSelf(), Lease: "1h", RotateEvery: "30d"})
	x.password(t, c, err)
	c, err = x.Credentials.RenewCredential(x.ctx, &dbaasv1.RenewCredentialRequest{Id: c.GetId()})
	x.password(t, c, err)
	x.deleteDatabase(t, db.GetId())
	for _, url := range []string{first, c.GetLinks().GetSelf()} {
		x.read(t, url)
	}
	_, err = x.Databases.RestoreDatabase(x.ctx, &dbaasv1.RestoreDatabaseRequest{Id: db.GetId()})
	good(t, err)
	quarantined := x.addDatabase(t, "default", "quarantined")
	x.read(t, quarantined.GetCredentials()[0])
	x.deleteDatabase(t, quarantined.GetId())
	x.read(t, quarantined.GetCredentials()[0])
	db, err = x.Databases.GetDatabase(x.ctx, &dbaasv1.GetDatabaseRequest{Id: db.GetId()})
	good(t, err)
	return db
}

// writeContent puts something into a database, which is as secret to the files
// of a snapshot.
func (x *secretary) writeContent(t *testing.T, port int, db *dbaasv1.Database) {
	t.Helper()
	url := db.GetCredentials()[0]
	user := x.read(t, url)
	client := goredis.NewClient(&goredis.Options{
		Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Username: user, Password: x.words[len(x.words)-1], DisableIdentity: true,
	})
	defer client.Close()
	if err := client.Set(context.Background(), db.GetName()+":key", "Zebra9content", 0).Err(); err != nil {
		t.Fatal(err)
	}
}

// looksAround does what shows no passwords, over REST and gRPC.
func (x *secretary) looksAround(t *testing.T, tape *tape, db *dbaasv1.Database) {
	t.Helper()
	snapshot := x.addSnapshot(t, db.GetId())
	name := x.fresh()
	one, of := db.GetLinks().GetSelf(), snapshot.GetLinks().GetSelf()
	for _, url := range []string{
		x.Do(t, "POST", of+"restore/", object{"name": name + "restored"}).JSON(t)["credentials"].([]any)[0].(string),
		x.Do(t, "POST", one+"clone/", object{"name": name + "clone"}).JSON(t)["credentials"].([]any)[0].(string),
	} {
		x.read(t, url)
	}
	atRest(t, x.Server)
	for _, path := range []string{
		"/api/", "/api/database/?page_size=100", one, "/api/credential/?page_size=100", "/api/task/?page_size=100", "/api/task/1/", "/api/task/watch/?id=1",
		"/api/snapshot/", of, one + "snapshot/", "/api/difference/", "/api/plan/", "/api/engine/", "/api/project/", "/api/team/", "/metrics", "/openapi.json",
		"/api/audit?limit=1000", "/api/services", "/api/services/" + db.GetService(), "/api/services/" + db.GetService() + "/versions", "/api/service-types",
		"/api/credential/?ordering=sealed,-password", "/api/credential/?password__startswith=a", "/api/credential/0/", "/api/credential/x/",
	} {
		x.Do(t, "GET", path, nil)
	}
	word := x.words[1]
	for _, body := range []string{`{"password":"` + word + `"}`, `{"user":"a","database":"` + one + `","role":"x","password":"` + word + `"}`, `{"password":["` + word, `"` + word + `"`, word} {
		x.Do(t, "POST", "/api/credential/", body)
		x.Do(t, "PATCH", one, body)
	}
	x.Do(t, "POST", "/api/services/"+db.GetService()+"/test?timeout=2", nil)
	x.Do(t, "POST", "/api/difference/repair/", object{})
	for _, call := range []func() (proto.Message, error){
		func() (proto.Message, error) {
			return x.Credentials.ListCredentials(x.ctx, &dbaasv1.ListCredentialsRequest{PageSize: "100"})
		},
		func() (proto.Message, error) {
			return x.Databases.ListDatabases(x.ctx, &dbaasv1.ListDatabasesRequest{PageSize: "100"})
		},
		func() (proto.Message, error) {
			return x.Databases.ListTasks(x.ctx, &dbaasv1.ListTasksRequest{PageSize: "100"})
		},
	} {
		m, err := call()
		good(t, err)
		text, err := protojson.Marshal(m)
		good(t, err)
		if _, err := tape.Write(text); err != nil {
			t.Fatal(err)
		}
	}
}

// fails makes changes that the server refuses, with all that it heard.
func (x *secretary) fails(t *testing.T, parrot *echo, db *dbaasv1.Database) {
	t.Helper()
	parrot.set(true)
	said := 0
	for _, path := range []string{"reset_password/", "rotate/"} {
		a := x.Do(t, "POST", db.GetCredentials()[0]+path, nil)
		if a.Status < 400 {
			t.Errorf("%s against a server that refuses: %d %s", path, a.Status, a.Body)
		}
		said += strings.Count(string(a.Body), "you said")
	}
	if said == 0 {
		t.Error("the answers do not say what the server said: it cannot be seen what is left out")
	}
	x.Do(t, "POST", "/api/database/", object{"name": "refused", "plan": x.plan, "environment": x.environment})
	x.Do(t, "POST", "/api/plan/", object{"name": "refused", "engine": "redis", "environments": []string{x.environment}, "services": []string{x.service}})
	x.Do(t, "POST", "/api/credential/", object{"user": "refused", "database": db.GetLinks().GetSelf()})
	for _, path := range []string{"/api/task/?page_size=100", "/api/difference/", "/api/database/"} {
		x.Do(t, "GET", path, nil)
	}
	parrot.set(false)
	atRest(t, x.Server)
	x.Do(t, "GET", "/api/task/?page_size=100", nil)
}

// below reads every file under a folder.
func below(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		out[strings.TrimPrefix(path, dir+"/")] = string(text)
		return err
	})
	good(t, err)
	return out
}

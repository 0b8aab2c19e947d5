package server_test

import (
	"database/sql"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/server/store"
	"github.com/backplane/backplane/testbed"
)

// kind is a kind of store.
type kind struct {
	// fresh makes an empty store: its URL, and how to reach it with SQL once
	// the server with the given data directory has opened it.
	fresh func(t *testing.T) (storeURL string, open func(dataDir string) (*sql.DB, error))
	// shared stores take several servers.
	shared bool
}

// kinds starts one server of every kind of store.
func kinds(t *testing.T) map[string]kind {
	t.Helper()
	return map[string]kind{
		"SQLite":     {fresh: freshSQLite},
		"PostgreSQL": {fresh: freshPostgres(t), shared: true},
		"MariaDB":    {fresh: freshMariaDB(t), shared: true},
	}
}

func freshSQLite(*testing.T) (string, func(string) (*sql.DB, error)) {
	return "", func(dir string) (*sql.DB, error) {
		return sql.Open("sqlite", "file:"+filepath.Join(dir, store.SQLiteFile)+"?_pragma=busy_timeout(10000)")
	}
}

func freshPostgres(t *testing.T) func(*testing.T) (string, func(string) (*sql.DB, error)) {
	server := testbed.StartPostgres(t, testbed.PostgresOptions{})
	var n counter
	return func(t *testing.T) (string, func(string) (*sql.DB, error)) {
		name := fmt.Sprintf("store %d", n.next())
		server.CreateDatabase(t, name, server.User)
		u := server.AdminURL(name)
		return u, func(string) (*sql.DB, error) { return sql.Open("postgres", u) }
	}
}

func freshMariaDB(t *testing.T) func(*testing.T) (string, func(string) (*sql.DB, error)) {
	server := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	var n counter
	return func(t *testing.T) (string, func(string) (*sql.DB, error)) {
		name := fmt.Sprintf("store%d", n.next())
		server.Exec(t, "CREATE DATABASE "+name)
		u := url.URL{Scheme: "mysql", User: url.UserPassword(server.User, server.Password), Host: testbed.Addr(server.Port), Path: "/" + name}
		return u.String(), func(string) (*sql.DB, error) { return sql.Open("mysql", server.AdminURL(name)) }
	}
}

type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) next() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return c.n
}

// backed is a server on a kind of store, which can also be reached with SQL.
type backed struct {
	*servertest.Server
	url string
	db  *sql.DB
}

func startOn(t *testing.T, k kind) *backed {
	t.Helper()
	u, open := k.fresh(t)
	s := &backed{Server: servertest.Start(t, servertest.Options{Store: u}), url: u}
	var err error
	if s.db, err = open(s.DataDir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.db.Close() })
	return s
}

// exec runs an SQL statement behind the server's back.
func (s *backed) exec(t *testing.T, statement string) {
	t.Helper()
	if _, err := s.db.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func (s *backed) count(t *testing.T, table string) (n int) {
	t.Helper()
	if err := s.db.QueryRow("SELECT COUNT(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestStores is one suite for every kind of store.
func TestStores(t *testing.T) {
	t.Parallel()
	suite := map[string]func(*testing.T, *backed){
		"lifecycle": storeLifecycle, "text": storeText, "filters": storeFilters, "pages": storePages, "races": storeRaces,
		"names": storeNames, "order of changes": storeOrder, "versions": storeVersions, "health": storeHealth, "deletion": storeDeletion,
	}
	for name, k := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startOn(t, k)
			for _, part := range slices.Sorted(maps.Keys(suite)) {
				t.Run(part, func(t *testing.T) {
					for _, old := range s.Do(t, "GET", "/api/services", nil).List(t) {
						s.Do(t, "DELETE", "/api/services/"+old["id"].(string), nil).Good(t)
					}
					suite[part](t, s)
				})
			}
			t.Run("restart", func(t *testing.T) { storeRestart(t, s) })
			t.Run("leases", func(t *testing.T) { storeLeases(t, k) })
		})
	}
}

func storeLifecycle(t *testing.T, s *backed) {
	pem := strings.Repeat(testbed.NewCA(t).PEM, 60<<10/len(testbed.NewCA(t).PEM)-2)
	body := object{
		"name": "life", "service_type": "postgres", "tags": []string{"b", "a"}, "labels": object{"k": "v"}, "description": "d",
		"config":  object{"host": "h", "database": "d", "username": "u", "password": "hidden-word", "tls_ca": pem},
		"check":   object{"interval": "3600s", "timeout": "5.5s"},
		"enabled": false, // so that no check comes in between
	}
	made := s.Create(t, body)
	id := made["id"].(string)
	if made["config"].(object)["tls_ca"] != pem || !reflect.DeepEqual(made["tags"], []any{"b", "a"}) || made["check"].(object)["timeout"] != "5.500s" {
		t.Errorf("created %v %v", made["tags"], made["check"])
	}
	if got := s.Get(t, id); !reflect.DeepEqual(got, made) {
		t.Errorf("got %v, want %v", got, made)
	}
	changed := put(t, s.Server, id, object{"name": "later", "tags": []string{"c"}, "labels": object{}, "check": nil, "enabled": true})
	if got := s.Get(t, id); !reflect.DeepEqual(got, changed) || got["enabled"] != true {
		t.Errorf("got %v, want %v", got, changed)
	}
	if list := s.Do(t, "GET", "/api/services?tag=b", nil).List(t); len(list) != 0 {
		t.Errorf("the old tag still leads to %v", list)
	}
	s.Do(t, "DELETE", "/api/services/"+id, nil).Good(t)
	wantError(t, s.Do(t, "GET", "/api/services/"+id, nil), 404, errs.NotFound)
	s.Create(t, body) // the name is free again
}

func storeText(t *testing.T, s *backed) {
	longest := strings.Repeat("😀", 128)
	for _, name := range []string{longest, "Ünïcödé – 名前 – ß", "İstanbul", `quote ' " \ ; -- %`, "e\u0301 combined", "trailing dot."} {
		made := s.Create(t, sqlite(name, "description", strings.Repeat("𝄞", 4096), "labels", object{"k": strings.Repeat("é", 256)}))
		got := s.Get(t, made["id"].(string))
		if got["name"] != name || !reflect.DeepEqual(got, made) {
			t.Errorf("%q is read as %q", name, got["name"])
		}
		for _, q := range []string{name, strings.ToUpper(name), strings.ToLower(name)} {
			if strings.Contains(name, "İ") && q != name {
				continue // Turkish, to which plain folding does not do justice
			}
			if list := s.Do(t, "GET", "/api/services?q="+url.QueryEscape(q), nil).List(t); len(list) != 1 || list[0]["name"] != name {
				t.Errorf("q=%q finds %d services", q, len(list))
			}
		}
	}
	wantError(t, s.Do(t, "POST", "/api/services", sqlite(strings.Repeat("😀", 129))), 422, errs.ValidationFailed)
	wantError(t, s.Do(t, "POST", "/api/services", sqlite("\u00e9 combined")), 409, errs.NameTaken)
}

func names(list []object) (out []string) {
	for _, s := range list {
		out = append(out, s["name"].(string))
	}
	return out
}

func storeFilters(t *testing.T, s *backed) {
	closed := testbed.ClosedPort(t)
	add := func(body object, more ...any) object {
		for i := 0; i+1 < len(more); i += 2 {
			body[more[i].(string)] = more[i+1]
		}
		return s.Create(t, body)
	}
	add(sqlite("Alpha"), "tags", []string{"x", "y"}, "labels", object{"env": "prod", "team/a": "b=c"})
	add(sqlite("beta 100%"), "tags", []string{"x"}, "labels", object{"env": "dev"}, "description", "The ALPHA of b_ta")
	add(redisBody("gamma", closed), "tags", []string{"y"}, "enabled", false)
	down := add(redisBody("delta", closed), "labels", object{"env": "prod"})
	s.Do(t, "POST", "/api/services/"+down["id"].(string)+"/test", nil).Data(t)
	for query, want := range map[string][]string{
		"":                          {"Alpha", "beta 100%", "gamma", "delta"},
		"tag=x":                     {"Alpha", "beta 100%"},
		"tag=x&tag=y":               {"Alpha"},
		"tag=X":                     nil,
		"label=env%3Dprod":          {"Alpha", "delta"},
		"label=env%3DPROD":          nil,
		"label=team/a%3Db%3Dc":      {"Alpha"},
		"label=env%3Dprod&tag=x":    {"Alpha"},
		"service_type=redis":        {"gamma", "delta"},
		"enabled=false":             {"gamma"},
		"enabled=true&tag=y":        {"Alpha"},
		"status=critical":           {"delta"},
		"status=unknown&q=a&tag=y":  {"Alpha", "gamma"},
		"status=passing":            nil,
		"q=alpha":                   {"Alpha", "beta 100%"},
		"q=0%25":                    {"beta 100%"},
		"q=b_t":                     {"beta 100%"},
		"q=_":                       {"beta 100%"},
		"q=%25a":                    nil,
		"q=%5C":                     nil,
		"q=AMM&service_type=sqlite": nil,
	} {
		if got := names(s.Do(t, "GET", "/api/services?"+query, nil).List(t)); !slices.Equal(got, want) {
			t.Errorf("%q finds %v, want %v", query, got, want)
		}
	}
}

func storePages(t *testing.T, s *backed) {
	const n = 23
	for i := range n {
		s.Create(t, sqlite(fmt.Sprintf("page %02d", i), "tags", []string{[]string{"even", "odd"}[i%2]}))
	}
	// Many are of one moment, so that the id decides.
	s.exec(t, "UPDATE services SET created_at = 1700000000000000 WHERE name > 'page 05'")
	for _, filter := range []string{"", "&tag=odd", "&status=unknown", "&service_type=sqlite&q=page"} {
		whole := s.Do(t, "GET", "/api/services?"+strings.TrimPrefix(filter, "&"), nil)
		want := names(whole.List(t))
		if whole.Header.Get("X-Next-Cursor") != "" {
			t.Error("a whole list has a cursor")
		}
		for _, limit := range []int{1, 2, 5, len(want), 1000} {
			var got []string
			cursor, pages := "", 0
			for {
				page := s.Do(t, "GET", fmt.Sprintf("/api/services?limit=%d&cursor=%s%s", limit, url.QueryEscape(cursor), filter), nil)
				list := names(page.List(t))
				if len(list) > limit {
					t.Fatalf("a page of %d has %d", limit, len(list))
				}
				got = append(got, list...)
				if cursor = page.Header.Get("X-Next-Cursor"); cursor == "" {
					break
				}
				if pages++; pages > n {
					t.Fatal("the pages do not end")
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("filter %q, limit %d:\n%v, want\n%v", filter, limit, got, want)
			}
		}
	}
}

func storeRaces(t *testing.T, s *backed) {
	id := s.Create(t, sqlite("raced", "tags", []string{"t0"}))["id"].(string)
	const writers, each = 6, 5
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				body := object{"description": fmt.Sprintf("%d %d", w, i), "tags": []string{fmt.Sprintf("t%d", w)}}
				// A caller that is raced too often is told to try again.
				for {
					a, err := s.Try("PUT", "/api/services/"+id, body)
					if err != nil || a.Status != 200 && a.Status != 412 {
						t.Errorf("update: %d %s %v", a.Status, a.Body, err)
						return
					}
					if a.Status == 200 {
						break
					}
				}
			}
		})
	}
	all.Wait()
	got := s.Get(t, id)
	if got["version"] != float64(1+writers*each) {
		t.Errorf("after %d updates the version is %v", writers*each, got["version"])
	}
	if rows := s.count(t, "service_tags"); rows != 1 {
		t.Errorf("one tag has %d rows", rows)
	}
	etag := fmt.Sprintf("%q", fmt.Sprint(got["version"]))
	statuses := make([]int, 2)
	for i := range statuses {
		all.Go(func() {
			a, err := s.Try("PUT", "/api/services/"+id, object{"description": fmt.Sprint("etag ", i)}, "If-Match", etag)
			if err != nil {
				t.Error(err)
			}
			statuses[i] = a.Status
		})
	}
	all.Wait()
	if slices.Sort(statuses); !slices.Equal(statuses, []int{200, 412}) {
		t.Errorf("two updates with one ETag: %v", statuses)
	}
}

func storeNames(t *testing.T, s *backed) {
	var all sync.WaitGroup
	statuses := make([]int, 8)
	for i := range statuses {
		all.Go(func() {
			name := []string{"Straße der Namen", "STRASSE DER NAMEN", "straße der namen"}[i%3]
			a, err := s.Try("POST", "/api/services", sqlite(name))
			if err != nil {
				t.Error(err)
			}
			statuses[i] = a.Status
		})
	}
	all.Wait()
	slices.Sort(statuses)
	if want := []int{200, 409, 409, 409, 409, 409, 409, 409}; !slices.Equal(statuses, want) {
		t.Errorf("creates of one name answer %v", statuses)
	}
	if n := len(s.Do(t, "GET", "/api/services", nil).List(t)); n != 1 {
		t.Errorf("%d services are stored", n)
	}
}

func storeOrder(t *testing.T, s *backed) {
	stream, err := s.Catalog.WatchServices(servertest.Context(t), &catalogv1.WatchServicesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Header(); err != nil {
		t.Fatal(err)
	}
	const writers, each = 5, 4
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				if a, err := s.Try("POST", "/api/services", sqlite(fmt.Sprintf("ordered %d %d", w, i))); err != nil || a.Status != 200 {
					t.Errorf("create: %d %s %v", a.Status, a.Body, err)
				}
			}
		})
	}
	seen, last := map[string]bool{}, uint64(0)
	for range writers * each {
		ev, err := stream.Recv()
		if err != nil {
			t.Fatalf("after %d changes: %v", len(seen), err)
		}
		if last != 0 && ev.GetIndex() != last+1 {
			t.Errorf("after %d comes %d", last, ev.GetIndex())
		}
		last = ev.GetIndex()
		seen[ev.GetService().GetName()] = true
	}
	all.Wait()
	if len(seen) != writers*each {
		t.Errorf("saw %d creations, want %d", len(seen), writers*each)
	}
	if now := s.Do(t, "GET", "/api/services?limit=1", nil).Header.Get("X-Index"); now != fmt.Sprint(last) {
		t.Errorf("X-Index is %s, the last change was %d", now, last)
	}
}

func storeVersions(t *testing.T, s *backed) {
	id := s.Create(t, redisBody("versioned", 1, "password", "first"))["id"].(string)
	put(t, s.Server, id, object{"config": object{"password": nil, "database": 3}, "labels": object{"a": "b"}})
	list := s.Do(t, "GET", "/api/services/"+id+"/versions", nil).List(t)
	if len(list) != 2 || list[0]["version"] != 2. || list[0]["service"].(object)["config"].(object)["database"] != 3. {
		t.Errorf("the versions are %v", list)
	}
	back := s.Do(t, "POST", "/api/services/"+id+"/rollback", object{"version": 1}).Data(t)
	if back["version"] != 3. || !reflect.DeepEqual(back["secrets_set"], []any{"password"}) || len(back["labels"].(object)) != 0 {
		t.Errorf("rolled back to %v", back)
	}
	if list := s.Do(t, "GET", "/api/services?label=a%3Db", nil).List(t); len(list) != 0 {
		t.Errorf("a label that was rolled back leads to %v", list)
	}
}

func storeHealth(t *testing.T, s *backed) {
	id := s.Create(t, redisBody("ill", testbed.ClosedPort(t)))["id"].(string)
	for range 3 {
		s.Do(t, "POST", "/api/services/"+id+"/test", nil).Data(t)
	}
	var ids []any
	before := ""
	for range 3 {
		h := s.Do(t, "GET", "/api/services/"+id+"/health?limit=1"+before, nil).Data(t)
		e := h["entries"].([]any)[0].(object)
		ids = append(ids, e["id"])
		before = "&before=" + fmt.Sprint(e["id"])
		if e["code"] != "refused" || e["connected"] != false || h["health"].(object)["consecutive_failures"] != 3. {
			t.Errorf("the history is %v", h)
		}
	}
	if rest := s.Do(t, "GET", "/api/services/"+id+"/health?limit=1"+before, nil).Data(t)["entries"].([]any); len(rest) != 0 || ids[0] == ids[1] {
		t.Errorf("after %v there is %v", ids, rest)
	}
	put(t, s.Server, id, object{"config": object{"database": 1}})
	if h := s.Get(t, id)["health"].(object); h["status"] != "unknown" || h["consecutive_failures"] != 0. {
		t.Errorf("a new configuration has the health %v", h)
	}
	// What a server says may be no text at all.
	port := testbed.Peer(t, func(c net.Conn) {
		c.Read(make([]byte, 1024)) //nolint:errcheck // whatever it is
		io.WriteString(c, "-ERR "+strings.Repeat("\xff\x00é", 3000)+"\r\n")
	})
	put(t, s.Server, id, object{"config": object{"port": port}})
	if r := s.Do(t, "POST", "/api/services/"+id+"/test", nil).Data(t); r["connected"] != false {
		t.Errorf("a server that says %v", r)
	}
	s.Do(t, "GET", "/api/services/"+id+"/health", nil).Data(t)
}

func storeDeletion(t *testing.T, s *backed) {
	for range 2 {
		id := s.Create(t, redisBody("gone", testbed.ClosedPort(t)))["id"].(string)
		put(t, s.Server, id, object{"tags": []string{"a"}, "labels": object{"k": "v"}})
		s.Do(t, "POST", "/api/services/"+id+"/test", nil).Data(t)
		s.Do(t, "DELETE", "/api/services/"+id, nil).Good(t)
	}
	for _, table := range []string{"services", "service_tags", "service_labels", "service_versions", "health_entries"} {
		if n := s.count(t, table); n != 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
}

func storeRestart(t *testing.T, s *backed) {
	made := s.Create(t, redisBody("kept", testbed.ClosedPort(t), "password", "hidden-word"))
	index := s.Do(t, "GET", "/api/services", nil).Header.Get("X-Index")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := servertest.Start(t, servertest.Options{Store: s.url, DataDir: s.DataDir})
	if got := again.Get(t, made["id"].(string)); !reflect.DeepEqual(got, made) {
		t.Errorf("after the restart: %v, want %v", got, made)
	}
	if now := again.Do(t, "GET", "/api/services", nil).Header.Get("X-Index"); now != index {
		t.Errorf("the index went from %s to %s", index, now)
	}
	again.Do(t, "POST", "/api/services/"+made["id"].(string)+"/test", nil).Data(t)
}

func storeLeases(t *testing.T, k kind) {
	u, _ := k.fresh(t)
	st, err := store.Open(t.Context(), u, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	acquire := func(holder string, ttl time.Duration, want bool) {
		t.Helper()
		if got, err := st.Acquire(t.Context(), "job", holder, ttl); got != want || err != nil {
			t.Errorf("%s acquires: %v %v, want %v", holder, got, err, want)
		}
	}
	acquire("a", time.Hour, true)
	acquire("b", time.Hour, false)
	acquire("a", time.Hour, true) // renewed
	if err := st.Release(t.Context(), "job", "b"); err != nil {
		t.Fatal(err)
	}
	acquire("b", time.Hour, false) // who does not hold it cannot give it up
	if err := st.Release(t.Context(), "job", "a"); err != nil {
		t.Fatal(err)
	}
	acquire("b", -time.Hour, true) // ended as it began
	acquire("a", time.Hour, true)

	held := make([]bool, 6)
	var all sync.WaitGroup
	for i := range held {
		all.Go(func() {
			var err error
			if held[i], err = st.Acquire(t.Context(), "contended", fmt.Sprint(i), time.Hour); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(slices.DeleteFunc(held, func(h bool) bool { return !h })); n != 1 {
		t.Errorf("%d hold the lease", n)
	}
}

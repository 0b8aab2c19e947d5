package proxy_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

const (
	created = http.StatusCreated
	lost    = http.StatusServiceUnavailable
)

// sqlTest is a control plane with a server of the proxy.
type sqlTest struct {
	*servertest.Server
	db *testbed.MariaDB
}

func startSQL(t *testing.T, o servertest.Options) *sqlTest {
	t.Helper()
	s := &sqlTest{servertest.Start(t, o), testbed.StartMariaDB(t, testbed.MariaDBOptions{})}
	s.db.CreateUser(t, "app", "Zebra9-word")
	must(t, s.Server, "POST", "/servers", serverBody("server1", s.db.Port))
	return s
}

// behind makes a service in front of the server.
func (s *sqlTest) behind(t *testing.T) {
	t.Helper()
	behind(t, s.Server, "svc", s.db, `{"servers":`+members("servers", "server1")+`}`)
	must(t, s.Server, "POST", "/services/svc/reload", nil)
}

// login is the body that connects to a target.
func (s *sqlTest) login(target string) object {
	if target != "server1" { // the proxy lets no root in
		return object{"target": target, "user": "app", "password": "Zebra9-word", "timeout": 5}
	}
	return object{"target": target, "user": s.db.User, "password": s.db.Password, "timeout": 5}
}

// call makes a call that must come to a status.
func (s *sqlTest) call(t *testing.T, verb, path string, body any, want int, headers ...string) object {
	t.Helper()
	a := s.Do(t, verb, "/v1/sql"+path, body, headers...)
	if a.Status != want {
		t.Fatalf("%s %s: %d, want %d: %s", verb, path, a.Status, want, a.Body)
	}
	if len(a.Body) == 0 {
		return nil
	}
	return a.JSON(t)
}

// conn is a connection: its path, and the query with its token.
type conn struct{ id, path, token string }

func (s *sqlTest) connect(t *testing.T, target string) conn {
	t.Helper()
	return connOf(t, s.call(t, "POST", "", s.login(target), created))
}

func connOf(t *testing.T, doc object) conn {
	t.Helper()
	id, _ := at(doc, "data", "id").(string)
	token, _ := at(doc, "meta", "token").(string)
	if id == "" || token == "" {
		t.Fatalf("no id or token: %v", doc)
	}
	return conn{id, "/" + id, "?token=" + token}
}

// query runs statements and returns their results.
func (s *sqlTest) query(t *testing.T, c conn, sql string) []any {
	t.Helper()
	doc := s.call(t, "POST", c.path+"/queries"+c.token, object{"sql": sql}, created)
	results, _ := at(doc, "data", "attributes", "results").([]any)
	return results
}

func TestSQLResults(t *testing.T) {
	t.Parallel()
	s := startSQL(t, servertest.Options{})
	c := s.connect(t, "server1")
	for sql, want := range map[string]string{
		"SELECT 1, -2, 1.50, 1e100, NULL, 'x', ''":                     `[1,-2,1.5,1e100,null,"x",""]`,
		"SELECT 9007199254740992, 9007199254740993, -9007199254740993": `[9007199254740992,"9007199254740993","-9007199254740993"]`,
		"SELECT CAST(0.1 AS FLOAT), 12345678901234567.25":              `[0.1,"12345678901234567.25"]`,
		"SELECT 18446744073709551615, 0.000, -0.50":                    `["18446744073709551615",0,-0.5]`,
		"SELECT x'ff00', _utf8mb4'ä\U0001F600', '1'":                   `["0xff00","ä😀","1"]`,
		"SELECT DATE'2024-02-29', JSON_OBJECT('a', 1)":                 `["2024-02-29","{\"a\": 1}"]`,
	} {
		var row any
		if err := json.Unmarshal([]byte(want), &row); err != nil {
			t.Fatal(err)
		}
		results := s.query(t, c, sql)
		if len(results) != 1 || !reflect.DeepEqual(at(results[0], "data"), []any{row}) || at(results[0], "complete") != true {
			t.Errorf("%s: %v, want %v", sql, results, row)
		}
	}
	results := s.query(t, c, "CREATE DATABASE d; CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(5)); "+
		"INSERT INTO d.t (v) VALUES ('a'),('b'); SELECT id AS number, v FROM d.t ORDER BY id; SELECT v FROM d.t WHERE id > 5; SET sql_mode=''; UPDATE d.t SET v = 'too long' WHERE id = 1; SELECT nothing; SELECT 1")
	if len(results) != 8 {
		t.Fatalf("%d results: %v", len(results), results)
	}
	for i, want := range map[int]object{
		0: {"affected_rows": 1.0, "last_insert_id": 0.0, "warnings": 0.0},
		2: {"affected_rows": 2.0, "last_insert_id": 1.0, "warnings": 0.0},
		6: {"affected_rows": 1.0, "last_insert_id": 0.0, "warnings": 1.0},
		7: {"errno": 1054.0, "sqlstate": "42S22", "message": at(results[7], "message")},
	} {
		if !reflect.DeepEqual(results[i], want) {
			t.Errorf("result %d is %v, want %v", i, results[i], want)
		}
	}
	wantAt(t, results[3], []any{"number", "v"}, "fields")
	wantAt(t, results[3], []any{[]any{1.0, "a"}, []any{2.0, "b"}}, "data")
	wantAt(t, results[3], "LONG", "metadata", 0, "type")
	wantAt(t, results[3], "t", "metadata", 1, "table")
	wantAt(t, results[4], []any{}, "data")
	if text, _ := at(results[7], "message").(string); !strings.Contains(text, "nothing") {
		t.Errorf("the error is %q", text)
	}
	// Bounds: of rows in each set, and of all.
	limited := s.call(t, "POST", c.path+"/queries"+c.token, object{"sql": "SELECT seq FROM mysql.seq_1_to_10; SELECT 1", "max_rows": 3}, created)
	wantAt(t, limited, []any{[]any{1.0}, []any{2.0}, []any{3.0}}, "data", "attributes", "results", 0, "data")
	wantAt(t, limited, false, "data", "attributes", "results", 0, "complete")
	wantAt(t, limited, true, "data", "attributes", "results", 1, "complete")
	if rows, _ := at(s.query(t, c, "SELECT seq FROM mysql.seq_1_to_2000")[0], "data").([]any); len(rows) != 1000 {
		t.Errorf("%d rows unless said otherwise", len(rows))
	}
	big := s.call(t, "POST", c.path+"/queries"+c.token, object{"sql": "SELECT REPEAT('x', 1000000) FROM mysql.seq_1_to_9; SELECT REPEAT('y', 5000000); SELECT 7", "max_rows": 0}, created)
	for i, rows := range []int{3, 0, 1} {
		one := at(big, "data", "attributes", "results", i)
		if data, _ := at(one, "data").([]any); len(data) != rows || at(one, "complete") != (rows == 1) {
			t.Errorf("of too much, result %d has %d rows, complete %v", i, len(data), at(one, "complete"))
		}
	}
}

func TestSQLConnections(t *testing.T) {
	t.Parallel()
	s := startSQL(t, servertest.Options{})
	must(t, s.Server, "POST", "/services", serviceBody("bare", `{}`))
	s.behind(t)
	for _, target := range []string{"server1", "svc", "svc-listener", "SVC"} {
		c := s.connect(t, target)
		wantAt(t, s.query(t, c, "SELECT @@port")[0], float64(s.db.Port), "data", 0, 0)
		doc := s.call(t, "GET", c.path+c.token, nil, found)
		if got, _ := at(doc, "data", "attributes", "target").(string); !strings.EqualFold(got, target) {
			t.Errorf("the target is %q, want %q", got, target)
		}
		wantAt(t, doc, "SELECT @@port", "data", "attributes", "sql")
		wantAt(t, doc, s.URL+"/v1/sql/"+c.id+"/queries/", "data", "links", "related")
		if n, _ := at(doc, "data", "attributes", "thread_id").(float64); n == 0 {
			t.Error("the connection has no number")
		}
		s.call(t, "DELETE", c.path+c.token, nil, done)
		s.call(t, "GET", c.path+c.token, nil, missing)
	}
	run(t, s.Server, []step{
		{"POST", "/sql", `{"target":"server1","user":"nobody","password":"x"}`, refused, "Access denied"},
		{"POST", "/sql", `{"target":"nothing","user":"u"}`, refused, "nothing is none"},
		{"POST", "/sql", `{"user":"u"}`, refused, "target"},
		{"POST", "/sql", `{"target":"server1"}`, refused, "user"},
		{"POST", "/sql", ``, refused, ""},
		{"POST", "/sql", `{"target":"odbc","connection_string":"DRIVER=x"}`, refused, "ODBC"},
		{"POST", "/sql", `{"target":"bare","user":"u"}`, refused, "listener"},
		{"GET", "/sql", ``, found, `"data": []`},
		{"GET", "/sql/odbc/drivers", ``, found, `"data": []`},
	})
	must(t, s.Server, "PUT", "/listeners/svc-listener/stop", nil)
	s.call(t, "POST", "", s.login("svc-listener"), refused)
	s.call(t, "POST", "", s.login("svc"), refused)

	c := s.connect(t, "server1")
	s.query(t, c, "SET @a = 7")
	other := connOf(t, s.call(t, "POST", c.path+"/clone"+c.token, nil, created))
	if len(ids(s.call(t, "GET", "", nil, found))) != 2 || other.id == c.id {
		t.Error("the clone is not there")
	}
	wantAt(t, s.query(t, other, "SELECT @a")[0], nil, "data", 0, 0)
	s.call(t, "POST", c.path+"/reconnect"+c.token, nil, done)
	wantAt(t, s.query(t, c, "SELECT @a")[0], nil, "data", 0, 0)
	// A connection that the server has closed is told, and can be made anew.
	thread := at(s.call(t, "GET", c.path+c.token, nil, found), "data", "attributes", "thread_id")
	s.db.Exec(t, fmt.Sprintf("KILL %v", thread))
	servertest.Eventually(t, "the end of the connection", func() bool {
		return s.Do(t, "POST", "/v1/sql"+c.path+"/queries"+c.token, object{"sql": "SELECT 1"}).Status == lost
	})
	s.call(t, "POST", c.path+"/reconnect"+c.token, nil, done)
	wantAt(t, s.query(t, c, "SELECT 1")[0], 1.0, "data", 0, 0)
	// What ends while it runs is an error among the results.
	results := s.query(t, c, "KILL CONNECTION_ID()")
	if n, _ := at(results[0], "errno").(float64); n == 0 {
		t.Errorf("a connection that ends itself: %v", results)
	}
	// There are only so many of one caller.
	for range 18 {
		s.connect(t, "server1")
	}
	s.call(t, "POST", "", s.login("server1"), http.StatusTooManyRequests)
	s.call(t, "DELETE", other.path+other.token, nil, done)
	s.connect(t, "server1")
}

func TestSQLTokens(t *testing.T) {
	t.Parallel()
	s := startSQL(t, servertest.Options{})
	a, b := s.connect(t, "server1"), s.connect(t, "server1")
	var claims struct {
		Iss, Sub, Aud string
		Iat, Exp      float64
	}
	read := func(token string) {
		t.Helper()
		text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		if err == nil {
			err = json.Unmarshal(text, &claims)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	read(a.token)
	if claims.Iss != "mxs-query" || claims.Sub != a.id || claims.Aud != a.id || claims.Exp-claims.Iat != 28800 {
		t.Errorf("the claims are %+v", claims)
	}
	read(connOf(t, s.call(t, "POST", "?max-age=60", s.login("server1"), created)).token)
	if claims.Exp-claims.Iat != 60 {
		t.Errorf("the claims are %+v", claims)
	}
	login := "?token=" + strings.TrimPrefix(s.SignIn(t, servertest.Basic("admin", servertest.Password)), "Bearer ")
	body := object{"sql": "SELECT 1"}
	for _, c := range []struct{ verb, path string }{
		{"GET", ""}, {"POST", "/queries"}, {"GET", "/queries/x"}, {"DELETE", "/queries/x"}, {"POST", "/cancel"}, {"POST", "/clone"}, {"POST", "/reconnect"}, {"DELETE", ""},
	} {
		s.call(t, c.verb, a.path+c.path, body, refused)
		for _, wrong := range []string{b.token, login, "?token=x", a.token[:len(a.token)-4]} {
			s.call(t, c.verb, a.path+c.path+wrong, body, http.StatusUnauthorized)
		}
	}
	if got := s.Do(t, "GET", "/api/whoami", nil, "Authorization", "Bearer "+strings.TrimPrefix(a.token, "?token=")); got.Status != http.StatusUnauthorized {
		t.Errorf("the token of a connection is a login: %d", got.Status)
	}
	short := connOf(t, s.call(t, "POST", "?max-age=1", s.login("server1"), created))
	servertest.Eventually(t, "the end of the token", func() bool {
		return s.Do(t, "GET", "/v1/sql"+short.path+short.token, nil).Status == http.StatusUnauthorized
	})

	got := s.Do(t, "POST", "/v1/sql?persist=yes&max-age=60", s.login("server1"))
	cookie := got.Header.Get("Set-Cookie")
	id, _ := at(got.JSON(t), "data", "id").(string)
	if got.Status != created || at(got.JSON(t), "meta") != nil || !strings.HasPrefix(cookie, "conn_id_sig_"+id+"=") ||
		!strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") || !strings.Contains(cookie, "Max-Age=60") {
		t.Fatalf("%d %s, cookie %q", got.Status, got.Body, cookie)
	}
	value, _, _ := strings.Cut(cookie, ";")
	s.call(t, "POST", "/"+id+"/queries", body, created, "Cookie", value)
	s.call(t, "POST", "/"+id+"/queries"+b.token, body, http.StatusUnauthorized, "Cookie", value)
	s.call(t, "POST", b.path+"/queries", body, refused, "Cookie", value)
	got = s.Do(t, "DELETE", "/v1/sql/"+id, nil, "Cookie", value)
	if got.Status != done || !strings.Contains(got.Header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("%d, cookie %q", got.Status, got.Header.Get("Set-Cookie"))
	}
}

// TestSQLAsync: queries in the background, their cancellation, and what there is
// no time for.
func TestSQLAsync(t *testing.T) {
	t.Parallel()
	s := startSQL(t, servertest.Options{})
	running := func() bool {
		c := s.connect(t, "server1")
		defer s.call(t, "DELETE", c.path+c.token, nil, done)
		return at(s.query(t, c, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT SLEEP(%'")[0], "data", 0, 0) != 0.0
	}
	c := s.connect(t, "server1")
	start := func() string {
		t.Helper()
		doc := s.call(t, "POST", c.path+"/queries"+c.token+"&async=true", object{"sql": "SELECT SLEEP(600) FROM mysql.seq_1_to_9"}, http.StatusAccepted)
		id, _ := at(doc, "data", "id").(string)
		servertest.Eventually(t, "the query on the server", running)
		return c.path + "/queries/" + id + c.token
	}
	query := start()
	wantAt(t, s.call(t, "GET", query, nil, http.StatusAccepted), []any{}, "data", "attributes", "results")
	s.call(t, "POST", c.path+"/queries"+c.token, object{"sql": "SELECT 1"}, lost)
	s.call(t, "POST", c.path+"/reconnect"+c.token, nil, lost)
	s.call(t, "POST", c.path+"/cancel"+c.token, nil, found)
	servertest.Eventually(t, "the end of the query", func() bool { return s.Do(t, "GET", "/v1/sql"+query, nil).Status == created })
	wantAt(t, s.call(t, "GET", query, nil, created), 1317.0, "data", "attributes", "results", 0, "errno")
	if running() {
		t.Error("the server still works on it")
	}
	s.call(t, "DELETE", query, nil, found)
	s.call(t, "GET", query, nil, refused)
	s.call(t, "DELETE", query, nil, refused)
	wantAt(t, s.query(t, c, "SELECT 5")[0], 5.0, "data", 0, 0)
	s.call(t, "POST", c.path+"/cancel"+c.token, nil, found) // of nothing
	wantAt(t, s.query(t, c, "SELECT 6")[0], 6.0, "data", 0, 0)

	query = start() // discarded while it runs
	s.call(t, "DELETE", query, nil, found)
	servertest.Eventually(t, "the end of the query", func() bool { return !running() })
	start() // and closed
	s.call(t, "DELETE", c.path+c.token, nil, done)
	servertest.Eventually(t, "the end of the query", func() bool { return !running() })
}

// TestSQLThroughService: what runs through a service is cancelled on its server.
func TestSQLThroughService(t *testing.T) {
	t.Parallel()
	s := startSQL(t, servertest.Options{})
	s.behind(t)
	c := s.connect(t, "svc")
	doc := s.call(t, "POST", c.path+"/queries"+c.token+"&async=true", object{"sql": "SELECT SLEEP(600) FROM information_schema.ENGINES"}, http.StatusAccepted)
	query := c.path + "/queries/" + fmt.Sprint(at(doc, "data", "id")) + c.token
	servertest.Eventually(t, "the end of the query", func() bool {
		s.call(t, "POST", c.path+"/cancel"+c.token, nil, found)
		return s.Do(t, "GET", "/v1/sql"+query, nil).Status == created
	})
	wantAt(t, s.call(t, "GET", query, nil, created), 1317.0, "data", "attributes", "results", 0, "errno")
}

// TestSQLKeepsSecrets: no answer but a result, no log and no record has a
// password or a constant of a statement, and a restart forgets connections.
func TestSQLKeepsSecrets(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s := startSQL(t, servertest.Options{DataDir: dir})
	var told []string
	do := func(verb, path string, body any, want int) object {
		t.Helper()
		a := s.Do(t, verb, "/v1/sql"+path, body)
		if a.Status != want {
			t.Fatalf("%s %s: %d, want %d: %s", verb, path, a.Status, want, a.Body)
		}
		told = append(told, string(a.Body))
		if len(a.Body) == 0 {
			return nil
		}
		return a.JSON(t)
	}
	c := connOf(t, do("POST", "", object{"target": "server1", "user": "app", "password": "Zebra9-word"}, created))
	do("POST", "", object{"target": "server1", "user": "app", "password": "Zebra9-wrong"}, refused)
	do("POST", "", object{"target": "server1", "user": "app", "password": []string{"Zebra9-list"}}, refused)
	do("POST", "", object{"target": "none", "user": "app", "password": "Zebra9-none"}, refused)
	do("POST", "", `{"target":"server1","user":"app","password":"Zebra9-cut`, refused)
	do("GET", "", nil, found)
	do("POST", c.path+"/clone"+c.token, nil, created)
	do("POST", c.path+"/cancel"+c.token, nil, found)
	do("POST", c.path+"/reconnect"+c.token, nil, done)
	for _, sql := range []string{"SELECT LENGTH('Quagga7')", `SELECT 'a\', Quagga7, '`, "SELECT 1 /* Quagga7 */", "SELECT 'Quagga7", "SELECT 1 WHERE 'x' = \"Quagga7\""} {
		s.query(t, c, sql)
	}
	do("DELETE", c.path+c.token, nil, done)
	trail := string(s.Do(t, "GET", "/api/audit?limit=1000", nil).Body)
	for _, action := range []string{"CreateConnection", "CloneConnection", "ReconnectConnection", "CancelQuery", "RunQuery", "DeleteConnection"} {
		if !strings.Contains(trail, `"`+action+`"`) {
			t.Errorf("%s is not recorded", action)
		}
	}
	if !strings.Contains(trail, "LENGTH(?)") {
		t.Error("what was run is not recorded")
	}
	d := s.connect(t, "server1")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for place, text := range map[string]string{"answers": strings.Join(told, "\n"), "log": s.Log.String(), "trail": trail} {
		for _, secret := range []string{"Zebra9", "Quagga7", s.db.Password} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s has %s", place, secret)
			}
		}
		if strings.Contains(text, strings.TrimPrefix(d.token, "?token=")) {
			t.Errorf("the %s has a token", place)
		}
	}
	s.Server = servertest.Start(t, servertest.Options{DataDir: dir})
	s.call(t, "GET", d.path+d.token, nil, missing)
	if len(ids(s.call(t, "GET", "", nil, found))) != 0 {
		t.Error("a restart does not forget connections")
	}
}

func TestSQLOverGRPC(t *testing.T) {
	t.Parallel()
	s := startSQL(t, servertest.Options{})
	api := proxyv1.NewProxyServiceClient(servertest.Dial(t, s.GRPC, servertest.Basic("admin", servertest.Password)))
	ctx := servertest.Context(t)
	made, err := api.CreateConnection(ctx, &proxyv1.CreateConnectionRequest{Login: &proxyv1.ConnectionLogin{Target: "server1", User: s.db.User, Password: s.db.Password}})
	if err != nil {
		t.Fatal(err)
	}
	id, token := made.GetData().GetId(), made.GetMeta().GetToken()
	run := func(token, sql string) (*proxyv1.QueryDocument, error) {
		return api.RunQuery(ctx, &proxyv1.RunQueryRequest{Name: id, Token: token, Query: &proxyv1.QueryText{Sql: sql, MaxRows: proto.Uint32(0)}})
	}
	q, err := run(token, "SELECT 1, NULL; SELECT REPEAT('x', 100000) FROM mysql.seq_1_to_100")
	if err != nil {
		t.Fatal(err)
	}
	results := q.GetData().GetAttributes().GetResults()
	if len(results) != 2 || results[0].GetData().GetValues()[0].GetListValue().GetValues()[0].GetNumberValue() != 1 || results[1].GetComplete() {
		t.Errorf("%d results, the first %v", len(results), results[0])
	}
	for want, err := range map[codes.Code]error{
		codes.Unauthenticated: second(run("x", "SELECT 1")), codes.InvalidArgument: second(run("", "SELECT 1")),
		codes.NotFound: second(api.GetConnection(ctx, &proxyv1.ConnectionRequest{Name: "none", Token: token})),
		codes.FailedPrecondition: second(api.CreateConnection(ctx, &proxyv1.CreateConnectionRequest{
			Login: &proxyv1.ConnectionLogin{Target: "server1", User: "nobody", Password: "x"},
		})),
	} {
		if status.Code(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	// Who no longer waits cancels.
	short, cancel := context.WithCancel(ctx)
	go func() {
		for running, err := api.GetConnection(ctx, &proxyv1.ConnectionRequest{Name: id, Token: token}); err == nil && !strings.Contains(running.GetData().GetAttributes().GetSql(), "SLEEP"); {
			running, err = api.GetConnection(ctx, &proxyv1.ConnectionRequest{Name: id, Token: token})
		}
		cancel()
	}()
	if _, err := api.RunQuery(short, &proxyv1.RunQueryRequest{Name: id, Token: token, Query: &proxyv1.QueryText{Sql: "SELECT SLEEP(600)"}}); status.Code(err) != codes.Canceled {
		t.Errorf("a call that is given up: %v", err)
	}
	servertest.Eventually(t, "the connection to be free", func() bool {
		_, err := run(token, "SELECT 1")
		return err == nil
	})
}

func second[T any](_ T, err error) error { return err }

package server_test

import (
	"fmt"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/backplane/backplane/testbed"
)

// TestOpenAPIOfSQL: answers about connections that there are, and about what is
// run on them, are as the document says.
func TestOpenAPIOfSQL(t *testing.T) {
	t.Parallel()
	db := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	s := start(t)
	doc := document(t, s)
	doc.Servers = openapi3.Servers{{URL: s.URL}}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	try := func(verb, path, body string, status int) object {
		t.Helper()
		a := tryOperation(t, s, router, verb, path, apiCall{body: body, status: status})
		if len(a.Body) == 0 {
			return nil
		}
		return a.JSON(t)
	}
	try("POST", "/v1/servers", fmt.Sprintf(`{"data":{"id":"server1","attributes":{"parameters":{"address":"127.0.0.1","port":%d}}}}`, db.Port), 204)
	login := fmt.Sprintf(`{"target":"server1","user":%q,"password":%q}`, db.User, db.Password)
	made := try("POST", "/v1/sql?max-age=60", login, 201)
	token, _ := made["meta"].(object)["token"].(string)
	path, query := "/v1/sql/"+made["data"].(object)["id"].(string), "?token="+token
	try("GET", "/v1/sql", "", 200)
	try("GET", path+query, "", 200)
	try("GET", path, "", 400)
	try("GET", path+query+"x", "", 401)
	done := try("POST", path+"/queries"+query, `{"sql":"SELECT 1, NULL, 'x'; SET @a = 1; SELECT nothing","max_rows":5}`, 201)
	last := path + "/queries/" + done["data"].(object)["id"].(string)
	try("GET", last+query, "", 201)
	try("DELETE", last+query, "", 200)
	try("GET", last+query, "", 400)
	slow := try("POST", path+"/queries"+query+"&async=true", `{"sql":"SELECT SLEEP(60)"}`, 202)
	try("GET", path+"/queries/"+slow["data"].(object)["id"].(string)+query, "", 202)
	try("POST", path+"/queries"+query, `{"sql":"SELECT 1"}`, 503)
	try("POST", path+"/reconnect"+query, "", 503)
	try("POST", path+"/cancel"+query, "", 200)
	try("POST", path+"/clone"+query, "", 201)
	try("DELETE", path+query, "", 204)
}

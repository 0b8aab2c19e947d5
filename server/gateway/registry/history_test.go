package registry_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/servicechange"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/server/gateway/registry"
	"github.com/backplane/backplane/server/store"
)

func (w *world) changes(t *testing.T, req *gatewayv1.ListServiceChangesRequest) []*gatewayv1.ServiceChange {
	t.Helper()
	out, err := w.ListServiceChanges(t.Context(), req)
	if err != nil || !out.GetOk() {
		t.Fatalf("%v: %v %v", req, out, err)
	}
	return out.GetData()
}

// TestChangesOfDocuments: what has changed between two documents is told, once,
// and only of operations that are exposed.
func TestChangesOfDocuments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := newUpstream(t, document("GET /items/", "GET /old", "-GET /hidden"))
	id := w.register(t, "Shop", u.port(t))
	w.refresh(t)
	if got := w.changes(t, &gatewayv1.ListServiceChangesRequest{}); len(got) != 0 {
		t.Errorf("a first document has changed: %v", got)
	}
	before := w.details(t, id).GetDocumentHash()
	u.says(document("!GET /items/", "GET /new"))
	w.refresh(t)
	w.refresh(t)
	after := w.details(t, id).GetDocumentHash()
	found := map[string]string{}
	for _, c := range w.changes(t, &gatewayv1.ListServiceChangesRequest{Service: "Shop"}) {
		found[c.GetMethod()+" "+c.GetPath()] += c.GetLevel()
		if c.GetIdService() != id || c.GetService() != "Shop" || c.GetAt() == nil || c.GetCode() == "" || c.GetText() == "" || c.GetBefore() != before || c.GetAfter() != after {
			t.Errorf("a change is %v", c)
		}
	}
	if len(found) != 3 || found["GET /items/"] != "breaking" || found["GET /old"] != "breaking" || found["GET /new"] != "info" {
		t.Errorf("the changes are %v", found)
	}
	if got := w.changes(t, &gatewayv1.ListServiceChangesRequest{Level: "breaking"}); len(got) != 2 {
		t.Errorf("the breaking changes are %v", got)
	}
	if got := w.changes(t, &gatewayv1.ListServiceChangesRequest{Service: "Other"}); len(got) != 0 {
		t.Errorf("the changes of another service are %v", got)
	}
	// What is known of it outlives the service, and the process.
	if _, err := w.UnregisterService(t.Context(), &gatewayv1.UnregisterServiceRequest{IdService: id}); err != nil {
		t.Fatal(err)
	}
	w.refresh(t)
	if got := w.changes(t, &gatewayv1.ListServiceChangesRequest{}); len(got) != 3 {
		t.Errorf("of a service that is gone: %v", got)
	}
}

// TestChangesAcrossAStart: the document before is that which is stored.
func TestChangesAcrossAStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	u := newUpstream(t, document("GET /old"))
	first := openWorld(t, "", dir)
	first.register(t, "Shop", u.port(t))
	first.refresh(t)
	first.registry.Close()
	first.store.Close()
	u.says(document("GET /new"))
	w := openWorld(t, "", dir)
	w.refresh(t)
	if got := w.changes(t, &gatewayv1.ListServiceChangesRequest{}); len(got) != 2 {
		t.Errorf("the changes are %v", got)
	}
}

func TestManyChangesAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var many []string
	for i := range 1100 {
		many = append(many, fmt.Sprintf("GET /new%d", i))
	}
	u := newUpstream(t, document("GET /old"))
	w.register(t, "Shop", u.port(t))
	w.refresh(t)
	u.says(document(many...))
	w.refresh(t)
	if n, err := w.store.ServiceChange.Query().Count(t.Context()); err != nil || n != 1000 {
		t.Errorf("%d changes at once, %v", n, err)
	}
	if got := w.changes(t, &gatewayv1.ListServiceChangesRequest{Level: "breaking"}); len(got) != 1 {
		t.Errorf("the worst one is not among them: %v", got)
	}
}

func TestListServiceChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	err := w.store.Change(t.Context(), func(tx *store.Tx) error {
		var rows []*ent.ServiceChangeCreate
		for i := range 250 {
			rows = append(rows, tx.ServiceChange.Create().SetServiceID(1).SetService("Shop").SetAt(int64(i+1)).SetLevel(int8(i%3+1)).SetCode("c").
				SetMethod("GET").SetPath("/").SetText(fmt.Sprint(i)).SetBefore("a").SetAfter("b"))
		}
		return tx.ServiceChange.CreateBulk(rows...).Exec(t.Context())
	})
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		out, err := w.ListServiceChanges(t.Context(), &gatewayv1.ListServiceChangesRequest{Cursor: cursor})
		if err != nil || pages > 3 {
			t.Fatal(pages, err)
		}
		for _, c := range out.GetData() {
			seen = append(seen, c.GetText())
		}
		cursor = out.GetNextCursor()
	}
	if len(seen) != 250 || seen[0] != "249" || seen[249] != "0" {
		t.Errorf("%d changes, the first %s", len(seen), seen[0])
	}
	limit := func(n uint32) *uint32 { return &n }
	if got := w.changes(t, &gatewayv1.ListServiceChangesRequest{Limit: limit(3), Level: "warning"}); len(got) != 3 || got[0].GetText() != "248" || got[1].GetText() != "247" {
		t.Errorf("three warnings are %v", got)
	}
	for _, c := range []struct {
		req  *gatewayv1.ListServiceChangesRequest
		want string
	}{
		{&gatewayv1.ListServiceChangesRequest{Limit: limit(0)}, "limit"},
		{&gatewayv1.ListServiceChangesRequest{Limit: limit(1001)}, "limit"},
		{&gatewayv1.ListServiceChangesRequest{Cursor: "x", Level: "bad"}, "cursor level"},
	} {
		if _, err := w.ListServiceChanges(t.Context(), c.req); status.Code(err) != codes.InvalidArgument || fields(err) != c.want {
			t.Errorf("%v: %v", c.req, err)
		}
	}
}

// TestOldChangesGo: by their age, and where there are too many.
func TestOldChangesGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now()
	err := w.store.Change(t.Context(), func(tx *store.Tx) error {
		for i, days := range []int{100, 91, 89, 3, 2, 1} {
			if err := tx.ServiceChange.Create().SetServiceID(1).SetService("Shop").SetAt(now.AddDate(0, 0, -days).UnixMicro()).SetLevel(1).SetCode("c").
				SetMethod("").SetPath("").SetText(fmt.Sprint(i)).SetBefore("").SetAfter("").Exec(t.Context()); err != nil {
				return err
			}
		}
		return registry.Forget(t.Context(), tx, now.UnixMicro(), 3)
	})
	if err != nil {
		t.Fatal(err)
	}
	left, err := w.store.ServiceChange.Query().Order(servicechange.ByID()).Select(servicechange.FieldText).Strings(t.Context())
	if err != nil || strings.Join(left, " ") != "3 4 5" {
		t.Errorf("left are %v %v", left, err)
	}
}

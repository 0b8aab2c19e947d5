package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// walk reads a list page by page, and calls between after each.
func walk(t *testing.T, w *world, method, request string, between func(page []object)) (all []object) {
	t.Helper()
	offset := ""
	for {
		page := must(t, w, method, strings.TrimSuffix(request, "}")+offset+"}")
		all = append(all, data(page)...)
		between(data(page))
		next, more := page["offset"].(string)
		if more != (page["next"] != nil) {
			t.Fatalf("offset %v, next %v", page["offset"], page["next"])
		}
		if !more {
			return all
		}
		offset = `,"offset":"` + next + `"`
	}
}

// pages: each entity comes once, also when others are deleted meanwhile.
func pages(t *testing.T, w *world) {
	must(t, w, "CreateUpstream", `{"document":{"name":"paged"}}`)
	must(t, w, "CreateService", `{"document":{"name":"paged","host":"h"}}`)
	for i := range 25 {
		must(t, w, "CreateConsumer", fmt.Sprintf(`{"document":{"username":"paged-%d","tags":["paged"]}}`, i))
		must(t, w, "CreateTarget", fmt.Sprintf(`{"upstream":"paged","document":{"target":"h:%d","created_at":%d.5}}`, 100+i, 1000+i/3))
		must(t, w, "CreateRoute", fmt.Sprintf(`{"service":"paged","document":{"paths":["/%d"]}}`, i))
	}
	first := must(t, w, "ListConsumers", `{"tags":"paged","size":4}`)
	if want := fmt.Sprintf("/consumers?offset=%s&tags=paged&size=4", first["offset"]); first["next"] != want || len(data(first)) != 4 {
		t.Errorf("next is %v, want %v", first["next"], want)
	}
	all := walk(t, w, "ListConsumers", `{"tags":"paged","size":4}`, func([]object) {})
	checkOrder(t, all, 25, func(a, b object) bool { return a["id"].(string) < b["id"].(string) })
	left := walk(t, w, "ListConsumers", `{"tags":"paged","size":4}`, func(page []object) {
		for _, o := range page {
			must(t, w, "DeleteConsumer", `{"id":"`+o["id"].(string)+`"}`)
		}
	})
	checkOrder(t, left, 25, func(a, b object) bool { return a["id"].(string) < b["id"].(string) })
	targets := walk(t, w, "ListTargets", `{"upstream":"paged","size":4}`, func([]object) {})
	checkOrder(t, targets, 25, func(a, b object) bool { return a["created_at"].(float64) >= b["created_at"].(float64) })
	below := must(t, w, "ListRoutes", `{"service":"paged","size":7}`)
	if want := fmt.Sprintf("/services/paged/routes?offset=%s", below["offset"]); below["next"] != want {
		t.Errorf("next is %v, want %v", below["next"], want)
	}
	checkOrder(t, walk(t, w, "ListRoutes", `{"service":"paged","size":7}`, func([]object) {}), 25, func(a, b object) bool { return a["id"].(string) < b["id"].(string) })
	for _, r := range data(must(t, w, "ListRoutes", `{"service":"paged"}`)) {
		must(t, w, "DeleteRoute", `{"id":"`+r["id"].(string)+`"}`)
	}
}

func checkOrder(t *testing.T, all []object, n int, before func(a, b object) bool) {
	t.Helper()
	if len(all) != n {
		t.Errorf("%d entities, want %d", len(all), n)
	}
	for i := 1; i < len(all); i++ {
		if all[i]["id"] == all[i-1]["id"] || !before(all[i-1], all[i]) {
			t.Errorf("%v comes before %v", all[i-1], all[i])
		}
	}
}

// tags: with commas all are wanted, with slashes one.
func tags(t *testing.T, w *world) {
	for name, list := range map[string]string{"t-a": `["red"]`, "t-b": `["red","big one"]`, "t-c": `["big one","größe"]`, "t-d": `null`} {
		must(t, w, "CreateService", fmt.Sprintf(`{"document":{"name":%q,"host":"h","tags":%s}}`, name, list))
	}
	must(t, w, "CreateUpstream", `{"document":{"name":"t-e","tags":["red"]}}`)
	for filter, want := range map[string]string{
		"red": "t-a t-b", "red,big one": "t-b", "red/größe": "t-a t-b t-c", "größe": "t-c", "none": "", "red,none": "", "Red": "",
	} {
		var got []string
		for _, o := range data(must(t, w, "ListServices", fmt.Sprintf(`{"tags":%q}`, filter))) {
			got = append(got, o["name"].(string))
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%q finds %v, want %s", filter, got, want)
		}
	}
	must(t, w, "UpdateService", `{"id":"t-a","document":{"tags":["blue"]}}`)
	var found []string
	for _, o := range walk(t, w, "ListTags", `{"tag":"red","size":1}`, func([]object) {}) {
		found = append(found, fmt.Sprint(o["tag"], " ", o["entity_name"]))
	}
	if slices.Sort(found); strings.Join(found, ",") != "red services,red upstreams" {
		t.Errorf("red are %v", found)
	}
	if all := walk(t, w, "ListTags", `{"size":2}`, func([]object) {}); !slices.ContainsFunc(all, func(o object) bool { return o["tag"] == "blue" }) {
		t.Errorf("all tags are %v", all)
	}
	if got := said(call(t, w, "ListTags", `{"tag":"a,b"}`)); !strings.HasPrefix(got, "InvalidArgument: ") {
		t.Errorf("a tag that cannot be: %s", got)
	}
}

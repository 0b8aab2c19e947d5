package rest

import "testing"

func TestRoutes(t *testing.T) {
	t.Parallel()
	all := loadRoutes("backplane.")
	for _, c := range []struct{ verb, path, method string }{
		{"GET", "/api/services", "ListServices"}, {"GET", "/api/services/watch", "WatchServices"}, {"GET", "/api/services/x", "GetService"},
		{"POST", "/api/services/test", "TestConfig"}, {"POST", "/api/services/test-all", "TestServices"}, {"POST", "/api/services/x/test", "TestService"},
		{"DELETE", "/api/services/watch", "DeleteService"},
	} {
		r, _, err := all.find(c.verb, c.path)
		if err != nil || r.method != "/backplane.catalog.v1.ServiceCatalog/"+c.method {
			t.Errorf("%s %s leads to %+v, %v, want %s", c.verb, c.path, r, err, c.method)
		}
	}
}

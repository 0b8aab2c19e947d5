package server_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/backplane/backplane/server/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type object = servertest.Object

func start(t *testing.T) *servertest.Server {
	t.Helper()
	return servertest.Start(t, servertest.Options{})
}

// sqlite is the body of a service that needs no server.
func sqlite(name string, more ...any) object {
	o := object{"name": name, "service_type": "sqlite", "config": object{"path": "/tmp/backplane-test-does-not-exist.db"}}
	for i := 0; i+1 < len(more); i += 2 {
		o[more[i].(string)] = more[i+1]
	}
	return o
}

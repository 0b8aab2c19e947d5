package dbaas_test

import (
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/backplane/backplane/testbed"
)

// enginesUnderTest start a server of each engine until the test ends.
func enginesUnderTest() map[string]func(*testing.T) engineUnderTest {
	return map[string]func(*testing.T) engineUnderTest{
		"postgresql": func(t *testing.T) engineUnderTest {
			p := testbed.StartPostgres(t, testbed.PostgresOptions{})
			return engineUnderTest{"postgres", "postgresql", object{
				"host": "127.0.0.1", "port": p.Port, "database": "postgres", "username": p.User, "password": p.Password,
			}}
		},
		"mysql": func(t *testing.T) engineUnderTest {
			m := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
			return engineUnderTest{"mysql", "mysql", object{
				"host": "127.0.0.1", "port": m.Port, "database": "mysql", "username": m.User, "password": m.Password,
			}}
		},
		"mongodb": func(t *testing.T) engineUnderTest {
			m := testbed.StartMongoDBWithRoles(t)
			return engineUnderTest{"mongodb", "mongodb", object{
				"host": "127.0.0.1", "port": m.Port, "database": "admin", "username": m.Username, "password": m.Password,
			}}
		},
		"redis": func(t *testing.T) engineUnderTest {
			r := testbed.StartRedis(t, testbed.RedisOptions{Password: "the administrator's"})
			return engineUnderTest{"redis", "redis", object{"host": "127.0.0.1", "port": r.Port, "password": "the administrator's"}}
		},
	}
}

func mustStruct(t *testing.T, v object) *structpb.Struct {
	t.Helper()
	for key, value := range v {
		if n, ok := value.(int); ok {
			v[key] = float64(n)
		}
	}
	out, err := structpb.NewStruct(v)
	good(t, err)
	return out
}

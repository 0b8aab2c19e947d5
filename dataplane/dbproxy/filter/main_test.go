package filter

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/dlclark/regexp2"
	"go.uber.org/goleak"

	"github.com/backplane/backplane/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(suite{m}) }

// suite ends what the tests share before it is looked for leaks.
type suite struct{ *testing.M }

func (s suite) Run() int {
	code := s.M.Run()
	for i := len(shared.cleanups) - 1; i >= 0; i-- {
		shared.cleanups[i]()
	}
	regexp2.StopTimeoutClock()
	return code
}

// shared is the two servers that tests use, which know nothing of each other.
var shared sharedServers

type sharedServers struct {
	once     sync.Once
	servers  []*testbed.MariaDB
	cleanups []func()
}

func (s *sharedServers) Helper() {}
func (s *sharedServers) Logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
func (s *sharedServers) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (s *sharedServers) Cleanup(f func())                  { s.cleanups = append(s.cleanups, f) }

// servers are the two, each with a table of five rows in the database shop.
func servers(t testing.TB) []*testbed.MariaDB {
	t.Helper()
	shared.once.Do(func() {
		for range 2 {
			s := testbed.StartMariaDB(&shared, testbed.MariaDBOptions{})
			s.CreateUser(&shared, "app", "secret")
			s.CreateDatabase(&shared, "shop", "app")
			s.ExecIn(&shared, "shop", "CREATE TABLE t (a INT PRIMARY KEY, b TEXT)", "INSERT INTO t SELECT seq, REPEAT('x', 1000) FROM seq_1_to_5")
			shared.servers = append(shared.servers, s)
		}
	})
	return shared.servers
}

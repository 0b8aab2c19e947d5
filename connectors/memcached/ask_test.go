package memcached_test

import (
	"io"
	"net"
	"testing"

	"github.com/backplane/backplane/testbed"
)

// ask sends commands, the last of which is quit, and returns the answers.
func ask(t *testing.T, s *testbed.Memcached, commands string) string {
	t.Helper()
	c, err := net.Dial("tcp", testbed.Addr(s.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, commands); err != nil {
		t.Fatal(err)
	}
	answers, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(answers)
}

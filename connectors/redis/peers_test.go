package redis_test

import (
	"bufio"
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/redis"
	"github.com/backplane/backplane/testbed"
)

func portText(s *testbed.Redis) string { return strconv.Itoa(s.Port) }

// full is a server whose only place is taken.
func full(t *testing.T) cfg {
	t.Helper()
	s := testbed.StartRedis(t, testbed.RedisOptions{})
	c, err := net.Dial("tcp", testbed.Addr(s.Port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := c.Write([]byte("CONFIG SET maxclients 1\r\n")); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.HasPrefix(line, "+OK") {
		t.Fatalf("%q %v", line, err)
	}
	return at(s.Port)
}

// TestAnswers covers servers that can not be had here, by what they say.
func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		banner string
		want   connectors.Code
	}{
		"protected mode": {"-DENIED Redis is running in protected mode because no password is set\r\n", connectors.PermissionDenied},
		"loading":        {"-LOADING Redis is loading the dataset in memory\r\n-LOADING Redis is loading the dataset in memory\r\n", connectors.ServerBusy},
		"busy":           {"*0\r\n-BUSY Redis is busy running a script\r\n", connectors.ServerBusy},
		"no PONG":        {"*0\r\n+HELLO\r\n", connectors.ProtocolMismatch},
		"endless line":   {"+" + strings.Repeat("x", 8<<10), connectors.ProtocolMismatch},
		"huge array":     {"*999999999\r\n", connectors.ProtocolMismatch},
		"huge bulk":      {"$999999999\r\n", connectors.ProtocolMismatch},
		"TLS alert":      {"\x15\x03\x03\x00\x02\x02\x0a", connectors.TLSRequired},
	} {
		t.Run(name, func(t *testing.T) {
			config := connectors.Config{"host": "127.0.0.1", "port": int64(testbed.BannerPeer(t, c.banner))}
			_, f := connectors.Run(context.Background(), redis.New(), config, connectors.Env{}, 2*time.Second)
			if f == nil || f.Code != c.want {
				t.Errorf("got %+v, want %s", f, c.want)
			}
		})
	}
}

// TestOneLogin makes sure that a wrong password is sent once: servers and
// their watchers count failed logins.
func TestOneLogin(t *testing.T) {
	s := testbed.StartRedis(t, testbed.RedisOptions{Password: testbed.NastyPassword})
	config := connectors.Config{"host": "127.0.0.1", "port": int64(s.Port), "password": "wrong"}
	if _, f := connectors.Run(context.Background(), redis.New(), config, connectors.Env{}, 0); f == nil || f.Code != connectors.AuthFailed {
		t.Fatalf("got %v", f)
	}
	c, err := net.Dial("tcp", testbed.Addr(s.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask := "*2\r\n$4\r\nAUTH\r\n$" + strconv.Itoa(len(testbed.NastyPassword)) + "\r\n" + testbed.NastyPassword + "\r\nINFO errorstats\r\nQUIT\r\n"
	if _, err := c.Write([]byte(ask)); err != nil {
		t.Fatal(err)
	}
	var stats strings.Builder
	if _, err := bufio.NewReader(c).WriteTo(&stats); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(stats.String(), "errorstat_WRONGPASS:count=1\r\n") {
		t.Errorf("the server saw: %s", stats.String())
	}
}

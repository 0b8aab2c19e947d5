package ftp_test

import (
	"context"
	"maps"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/conformance"
	"github.com/backplane/backplane/connectors/ftp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type change = conformance.Config

func port(n int) float64 { return float64(n) }

// dropped is a change that removes keys.
func dropped(keys ...string) change {
	c := change{}
	for _, k := range keys {
		c[k] = nil
	}
	return c
}

// merge lays b over a, keeping the removals of both.
func merge(a, b change) change {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

func at(host string, n int) change { return change{"host": host, "port": port(n)} }

// try runs one test of a configuration that must validate.
func try(t *testing.T, raw change, env connectors.Env, timeout time.Duration) (connectors.Report, *connectors.Failure) {
	t.Helper()
	c, faults := ftp.New().Spec().Validate(raw, env)
	if len(faults) > 0 {
		t.Fatalf("refused: %+v", faults)
	}
	return connectors.Run(context.Background(), ftp.New(), c, env, timeout)
}

func TestSeedExampleValidates(t *testing.T) {
	c, faults := ftp.New().Spec().Validate(map[string]any{
		"host": "sftp.example.com", "port": float64(22), "username": "user", "password": "secret",
		"protocol": "sftp", "base_path": "/uploads", "timeout_seconds": float64(30),
	}, connectors.Env{})
	if len(faults) > 0 {
		t.Fatalf("refused: %+v", faults)
	}
	if c.Int("port") != 22 || c.Int("timeout_seconds") != 30 || !c.Bool("passive_mode") || c.String("host_key_policy") != "strict" {
		t.Errorf("validated to %v", c)
	}
}

func TestPortFollowsProtocol(t *testing.T) {
	tests := []struct {
		raw  change
		want int64
	}{
		{change{}, 21},
		{change{"protocol": "ftps"}, 21},
		{change{"protocol": "ftps", "tls_mode": "implicit"}, 990},
		{change{"protocol": "sftp"}, 22},
		{change{"protocol": "sftp", "port": float64(21)}, 21},
	}
	for _, tt := range tests {
		c, faults := ftp.New().Spec().Validate(merge(change{"host": "h", "username": "u", "password": "p"}, tt.raw), connectors.Env{})
		if len(faults) > 0 || c.Int("port") != tt.want {
			t.Errorf("%v: got port %d, faults %+v; want %d", tt.raw, c.Int("port"), faults, tt.want)
		}
	}
}

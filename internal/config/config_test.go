package config_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/backplane/backplane/internal/config"
)

// load reads a configuration as the command does.
func load(t *testing.T, file string, env map[string]string, args ...string) (config.Config, error) {
	t.Helper()
	var c config.Config
	f := pflag.NewFlagSet("test", pflag.ContinueOnError)
	c.Register(f)
	if file != "" {
		path := filepath.Join(t.TempDir(), "backplane.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	if err := f.Parse(args); err != nil {
		t.Fatal(err)
	}
	err := c.Load(f, func(name string) string { return env[name] })
	return c, err
}

// same compares what others see of two configurations.
func same(a, b config.Config) bool {
	left, right := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range left.NumField() {
		if left.Type().Field(i).IsExported() && !reflect.DeepEqual(left.Field(i).Interface(), right.Field(i).Interface()) {
			return false
		}
	}
	return true
}

// defaults are those that the cases here do not set.
func defaults() config.Config {
	c := config.Config{DataDir: "./data", LogLevel: "info", FileRoots: []string{"/"}, MaxCallsAtOnce: 1000, MaxHeaderBytes: 64 << 10, QuarantineRetention: 7 * 24 * time.Hour, GatewayHTTP: "127.0.0.1:8000", GatewayHTTPS: "127.0.0.1:8443",
		ServiceManagement: true, RegistryRefresh: time.Minute, RegistryTimeout: 5 * time.Second, RegistryAuth: "jwt"}
	for _, p := range []string{"169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32"} {
		c.DenyTargets = append(c.DenyTargets, netip.MustParsePrefix(p))
	}
	return c
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c, err := load(t, "", nil)
	want := defaults()
	want.RESTAddr, want.GRPCAddr = "127.0.0.1:8080", "127.0.0.1:9090"
	if err != nil || !same(c, want) {
		t.Errorf("got %+v, %v, want %+v", c, err, want)
	}
}

func TestFlagThenEnvironmentThenFile(t *testing.T) {
	t.Parallel()
	file := "rest-addr: file:1\ngrpc-addr: file:2\ngateway-http: file:3\ngateway-https: none\ngateway-trusted-ips: [10.0.0.0/8, 1.2.3.4]\nfile-roots: [/a, /b]\nrequire-secret-on-retarget: true\ntrust-forwarded: true\n"
	env := map[string]string{
		"BACKPLANE_REST_ADDR": "env:1", "BACKPLANE_GRPC_ADDR": "env:2", "BACKPLANE_ADMIN_PASSWORD": "p", "BACKPLANE_MASTER_KEY": "k",
	}
	c, err := load(t, file, env, "--rest-addr", "flag:1", "--allow-plaintext")
	want := defaults()
	want.RESTAddr, want.GRPCAddr, want.GatewayHTTP, want.GatewayHTTPS, want.FileRoots = "flag:1", "env:2", "file:3", "", []string{"/a", "/b"}
	want.TrustedIPs = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("1.2.3.4/32")}
	want.TrustForwarded = true
	want.RequireSecretOnRetarget, want.AllowPlaintext, want.AdminPassword, want.MasterKey = true, true, "p", "k"
	if err != nil || !same(c, want) {
		t.Errorf("got %+v, %v, want %+v", c, err, want)
	}
}

func TestEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	_, err := load(t, "rest-adr: x\nadmin-password: p\nlog-level: loud\n", map[string]string{"BACKPLANE_REQUIRE_SECRET_ON_RETARGET": "perhaps"},
		"--rest-addr", "nowhere", "--store", "oracle://user:hidden-word@host/db", "--file-roots", "relative", "--data-dir", "")
	if err == nil {
		t.Fatal("all of that is taken")
	}
	for _, want := range []string{`"rest-adr" is not a setting`, `"admin-password" is not a setting`, "line 1", "--log-level", "BACKPLANE_REQUIRE_SECRET_ON_RETARGET", "--rest-addr", "--store", "--file-roots", "--data-dir"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not among the faults:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hidden-word") {
		t.Errorf("the store's password is told: %v", err)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{"not YAML": "a: [", "a list": "- a\n", "a nested value": "log-level:\n  x: y\n", "twice": "log-level: info\nlog-level: debug\n"} {
		if _, err := load(t, file, nil); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if c, err := load(t, "# nothing\n", nil); err != nil || c.LogLevel != "info" {
		t.Errorf("an empty file: %v", err)
	}
	if _, err := load(t, "", nil, "--config", "/nonexistent/file"); err == nil {
		t.Error("a file that does not exist is taken")
	}
}

func TestDataDir(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	c := config.Config{DataDir: filepath.Join(base, "a", "b")}
	dir, err := c.EnsureDataDir()
	if err != nil || !filepath.IsAbs(dir) {
		t.Fatalf("%s, %v", dir, err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory is %v, %v", info, err)
	}
	if err := os.WriteFile(filepath.Join(base, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.DataDir = filepath.Join(base, "file", "x")
	if _, err := c.EnsureDataDir(); err == nil {
		t.Error("a directory below a file is made")
	}
}

// TestLengthsOfTime: they are written as everywhere in the program, and what
// cannot be is refused, by flag, variable and file alike.
func TestLengthsOfTime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"14d": 14 * 24 * time.Hour, "36h": 36 * time.Hour, "0": 0} {
		for from, c := range map[string]struct {
			file string
			env  map[string]string
			args []string
		}{
			"flag": {args: []string{"--quarantine-retention", text}},
			"env":  {env: map[string]string{"BACKPLANE_QUARANTINE_RETENTION": text}},
			"file": {file: "quarantine-retention: " + text},
		} {
			if got, err := load(t, c.file, c.env, c.args...); err != nil || got.QuarantineRetention != want {
				t.Errorf("%s by %s is %s, %v", text, from, got.QuarantineRetention, err)
			}
		}
	}
	for text, want := range map[string]string{"-1h": "--quarantine-retention -1h0m0s must not be negative", "a week": "must be a time such as", "7": "must be a time such as"} {
		if _, err := load(t, "", map[string]string{"BACKPLANE_QUARANTINE_RETENTION": text}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
}

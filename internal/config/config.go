// Package config is the configuration of the program: one definition for each
// knob, from which the flag, the environment variable, the key in the
// configuration file and the documentation follow.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"

	"github.com/backplane/backplane/internal/tlsconf"
)

// EnvPrefix begins every environment variable of the program.
const EnvPrefix = "BACKPLANE_"

// Config is the whole configuration of `backplane serve`.
type Config struct {
	RESTAddr  string
	GRPCAddr  string
	DataDir   string
	Store     string
	LogLevel  string
	FileRoots []string

	// GatewayHTTP and GatewayHTTPS are the addresses of the HTTP gateway; empty
	// for none.
	GatewayHTTP, GatewayHTTPS string
	// TrustedIPs are the peers that the gateway believes when they say who a
	// request is from.
	TrustedIPs []netip.Prefix
	trustedIPs []string
	// GatewayAccessLog is the file that the gateway writes its requests to, "-"
	// the standard output; empty for none.
	GatewayAccessLog string

	// ServiceManagement is whether services that describe themselves can be
	// registered.
	ServiceManagement bool
	// RegistryRefresh is how often their documents are fetched, 0 for never by
	// itself; RegistryTimeout is how long one may take.
	RegistryRefresh, RegistryTimeout time.Duration
	// RegistryAuth is the plugin that protects their operations.
	RegistryAuth string
	// RegistryAllow are the networks and hosts that they may be at; empty for any.
	RegistryAllow []string

	RequireSecretOnRetarget bool

	// QuarantineRetention is how long a database stays in quarantine before it
	// is dropped.
	QuarantineRetention time.Duration

	// TLS is for all listeners, the others win over it for one of them. What a
	// listener serves in the end is in REST and GRPC.
	TLS, RESTTLS, GRPCTLS tlsconf.Files
	// AllowPlaintext permits listeners that other machines can reach to serve
	// without TLS.
	AllowPlaintext bool
	// TrustForwarded takes the scheme and host of links from the headers that a
	// proxy in front of the program sets.
	TrustForwarded bool
	// ProxyForbids makes the API of the database proxy refuse changes with 403
	// wherever it would with 400.
	ProxyForbids bool

	// DenyTargets are the networks that no service may be in.
	DenyTargets       []netip.Prefix
	denyTargets       []string
	MaxCallsPerSecond float64 // of each caller; 0 is no limit
	MaxCallsAtOnce    int     // of each caller; 0 is no limit
	MaxHeaderBytes    int

	// MasterKeyFile and MasterKeyCommand say where the master key comes from
	// when MasterKey does not. Both empty: a file in the data directory.
	MasterKeyFile    string
	MasterKeyCommand []string

	// AdminPassword and MasterKey come from the environment alone, because
	// flags and files are too easily seen by others.
	AdminPassword string
	MasterKey     string
}

// Register defines the flags with their defaults.
func (c *Config) Register(f *pflag.FlagSet) {
	f.StringVar(&c.RESTAddr, "rest-addr", "127.0.0.1:8080", "address of the REST APIs, the docs and the metrics")
	f.StringVar(&c.GRPCAddr, "grpc-addr", "127.0.0.1:9090", "address of the gRPC API")
	c.registerGateway(f)
	c.registerRegistry(f)
	f.StringVar(&c.DataDir, "data-dir", "./data", "directory for the embedded store, keys and generated passwords")
	f.StringVar(&c.Store, "store", "", "postgres:// or mysql:// URL of the store; empty: an SQLite file in the data directory")
	f.StringVar(&c.LogLevel, "log-level", "info", "debug, info, warn or error")
	f.StringSliceVar(&c.FileRoots, "file-roots", []string{"/"}, "directories under which a service's configuration may name server-side files")
	f.BoolVar(&c.RequireSecretOnRetarget, "require-secret-on-retarget", false, "refuse to aim a service at another server unless its secrets are sent again")
	lengthVar(f, &c.QuarantineRetention, "quarantine-retention", 7*24*time.Hour, "how long a database stays in quarantine before it is dropped; 0: until somebody drops it")
	c.registerTLS(f)
	c.registerLimits(f)
	f.StringVar(&c.MasterKeyFile, "master-key-file", "", "file with the master key, for this store alone: a rotation of the keys replaces it; empty: master.key in the data directory, made at the first start")
	f.Var((*command)(&c.MasterKeyCommand), "master-key-command", "command that prints the master key; split at spaces, or a JSON list of its words; run without a shell")
	f.String("config", "", "YAML file with these settings; flags and environment variables win over it")
}

// Load completes the flags that were not given on the command line: first from
// the environment, then from the file named by --config. It then validates
// everything and reports all faults at once.
func (c *Config) Load(f *pflag.FlagSet, getenv func(string) string) error {
	var errList []error
	f.VisitAll(func(fl *pflag.Flag) {
		v := getenv(EnvName(fl.Name))
		if fl.Changed || v == "" || fl.Name == "help" {
			return
		}
		if err := f.Set(fl.Name, v); err != nil {
			errList = append(errList, fmt.Errorf("%s: %w", EnvName(fl.Name), err))
		}
	})
	if path, _ := f.GetString("config"); path != "" {
		errList = append(errList, loadFile(f, path))
	}
	c.AdminPassword, c.MasterKey = getenv(EnvPrefix+"ADMIN_PASSWORD"), getenv(EnvPrefix+"MASTER_KEY")
	return errors.Join(append(errList, c.validate())...)
}

// EnvName is the environment variable of a flag.
func EnvName(flag string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func loadFile(f *pflag.FlagSet, path string) error {
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	var values map[string]yaml.Node
	if err := yaml.Unmarshal(text, &values); err != nil {
		return fmt.Errorf("--config %s: %w", path, err)
	}
	var errList []error
	for key, node := range values {
		fl := f.Lookup(key)
		switch {
		case fl == nil || key == "config" || key == "help":
			errList = append(errList, fmt.Errorf("--config %s: line %d: %q is not a setting", path, node.Line, key))
		case !fl.Changed:
			if err := f.Set(key, scalar(fl.Value.Type(), node)); err != nil {
				errList = append(errList, fmt.Errorf("--config %s: line %d: %s: %w", path, node.Line, key, err))
			}
		}
	}
	return errors.Join(errList...)
}

// scalar is a YAML value as a flag of the type would be written.
func scalar(flagType string, n yaml.Node) string {
	if n.Kind != yaml.SequenceNode {
		return n.Value
	}
	parts := make([]string, len(n.Content))
	for i, c := range n.Content {
		parts[i] = c.Value
	}
	if flagType == (*command)(nil).Type() {
		return writeCommand(parts)
	}
	return strings.Join(parts, ",")
}

func (c *Config) validate() error {
	var errList []error
	if c.DataDir == "" {
		errList = append(errList, errors.New("--data-dir must not be empty"))
	}
	if c.Store != "" && !strings.HasPrefix(c.Store, "postgres://") && !strings.HasPrefix(c.Store, "postgresql://") && !strings.HasPrefix(c.Store, "mysql://") {
		errList = append(errList, errors.New("--store must be empty, a postgres:// or a mysql:// URL"))
	}
	if n := c.masterKeySources(); len(n) > 1 {
		errList = append(errList, fmt.Errorf("%s: only one of them can give the master key", strings.Join(n, " and ")))
	}
	if _, err := c.Level(); err != nil {
		errList = append(errList, err)
	}
	if slices.ContainsFunc(c.FileRoots, func(r string) bool { return !filepath.IsAbs(r) }) {
		errList = append(errList, errors.New("--file-roots must be absolute directories"))
	}
	if c.QuarantineRetention < 0 {
		errList = append(errList, fmt.Errorf("--quarantine-retention %s must not be negative", c.QuarantineRetention))
	}
	return errors.Join(append(errList, c.checkListeners(), c.settleLimits(), c.settleGateway(), c.checkRegistry())...)
}

// masterKeySources names the sources of the master key that are given.
func (c *Config) masterKeySources() (names []string) {
	if c.MasterKey != "" {
		names = append(names, EnvPrefix+"MASTER_KEY")
	}
	if c.MasterKeyFile != "" {
		names = append(names, "--master-key-file")
	}
	if len(c.MasterKeyCommand) > 0 {
		names = append(names, "--master-key-command")
	}
	return names
}

// Level is the log level.
func (c *Config) Level() (slog.Level, error) {
	var l slog.Level
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		return l, fmt.Errorf("--log-level %q must be debug, info, warn or error", c.LogLevel)
	}
	return l, l.UnmarshalText([]byte(c.LogLevel))
}

// EnsureDataDir makes the data directory, readable by the owner alone, and
// returns its absolute path.
func (c *Config) EnsureDataDir() (string, error) {
	dir, err := filepath.Abs(c.DataDir)
	if err != nil {
		return "", fmt.Errorf("--data-dir: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("--data-dir: %w", err)
	}
	return dir, nil
}

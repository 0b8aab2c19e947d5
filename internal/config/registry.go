package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// maxRegistryTimeout bounds how long the fetch of a document may take: a
// refresh waits for the slowest.
const maxRegistryTimeout = 5 * time.Minute

// registryAuths are the plugins that can protect operations.
var registryAuths = []string{"jwt", "key-auth", "basic-auth"}

// hostPattern is a name of hosts; *. before it stands for those below it.
var hostPattern = regexp.MustCompile(`^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$`)

// isHost tells names of hosts from addresses that are miswritten.
func isHost(text string) bool {
	last := text[strings.LastIndexByte(text, '.')+1:]
	return hostPattern.MatchString(text) && strings.Trim(last, "0123456789") != ""
}

func (c *Config) registerRegistry(f *pflag.FlagSet) {
	f.BoolVar(&c.ServiceManagement, "service-management", true, "whether services that describe themselves can be registered, changed and refreshed; what is registered is served either way")
	lengthVar(f, &c.RegistryRefresh, "registry-refresh", time.Minute, "how often the OpenAPI documents of registered services are fetched; 0: when it is asked for")
	lengthVar(f, &c.RegistryTimeout, "registry-timeout", 5*time.Second, "how long the fetch of such a document may take")
	f.StringVar(&c.RegistryAuth, "registry-auth", registryAuths[0], "plugin that protects the operations of registered services which ask for it, unless a service has its own: "+strings.Join(registryAuths, ", "))
	f.StringSliceVar(&c.RegistryAllow, "registry-allow", nil, "networks, addresses and hosts that registered services may be at, *.x for all below x; empty: any but link-local addresses")
}

func (c *Config) checkRegistry() error {
	var faults []error
	if c.RegistryRefresh < 0 || c.RegistryRefresh > 0 && c.RegistryRefresh < time.Second {
		faults = append(faults, fmt.Errorf("--registry-refresh %s must be 0 or at least 1s", c.RegistryRefresh))
	}
	if c.RegistryTimeout <= 0 || c.RegistryTimeout > maxRegistryTimeout {
		faults = append(faults, fmt.Errorf("--registry-timeout %s must be more than 0 and at most %s", c.RegistryTimeout, maxRegistryTimeout))
	}
	if !slices.Contains(registryAuths, c.RegistryAuth) {
		faults = append(faults, fmt.Errorf("--registry-auth %q must be one of %s", c.RegistryAuth, strings.Join(registryAuths, ", ")))
	}
	var allow []string
	for _, item := range c.RegistryAllow {
		item = strings.ToLower(strings.TrimSpace(item))
		if _, ok := network(item); !ok && !isHost(item) {
			faults = append(faults, fmt.Errorf("--registry-allow: %q must be a network such as 10.0.0.0/8, an address, or a host", item))
		}
		allow = append(allow, item)
	}
	c.RegistryAllow = allow
	return errors.Join(faults...)
}

package config_test

import (
	"slices"
	"testing"
	"time"
)

func TestRegistry(t *testing.T) {
	c, err := load(t, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !c.ServiceManagement || c.RegistryRefresh != time.Minute || c.RegistryTimeout != 5*time.Second || c.RegistryAuth != "jwt" || len(c.RegistryAllow) > 0 {
		t.Errorf("by default: %t %s %s %s %q", c.ServiceManagement, c.RegistryRefresh, c.RegistryTimeout, c.RegistryAuth, c.RegistryAllow)
	}
	c, err = load(t, "", map[string]string{"BACKPLANE_REGISTRY_ALLOW": "10.0.0.0/8, ::1 ,Users,*.Internal,my_service"},
		"--service-management=false", "--registry-refresh", "0", "--registry-timeout", "250ms", "--registry-auth", "key-auth")
	if err != nil {
		t.Fatal(err)
	}
	if c.ServiceManagement || c.RegistryRefresh != 0 || c.RegistryTimeout != 250*time.Millisecond || c.RegistryAuth != "key-auth" {
		t.Errorf("as told: %t %s %s %s", c.ServiceManagement, c.RegistryRefresh, c.RegistryTimeout, c.RegistryAuth)
	}
	if want := []string{"10.0.0.0/8", "::1", "users", "*.internal", "my_service"}; !slices.Equal(c.RegistryAllow, want) {
		t.Errorf("allowed are %q", c.RegistryAllow)
	}
}

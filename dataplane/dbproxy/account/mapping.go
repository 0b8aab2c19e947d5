package account

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/backplane/backplane/internal/errs"
)

// Mapping is user_mapping_file: which users clients become on backends, and
// how these log in there.
type Mapping struct {
	users       map[string]string
	groups      []mappedGroup
	credentials map[string]Credential
}

type mappedGroup struct{ group, user string }

// Credential is how a mapped user logs in to backends. Printed in any way it
// shows no password.
type Credential struct {
	Password string
	Plugin   string
}

// String is the name of the plugin.
func (c Credential) String() string { return c.Plugin }

// GoString is String.
func (c Credential) GoString() string { return c.Plugin }

type mappingFile struct {
	Users []struct {
		Original string `json:"original_user"`
		Mapped   string `json:"mapped_user"`
	} `json:"user_map"`
	Groups []struct {
		Original string `json:"original_group"`
		Mapped   string `json:"mapped_user"`
	} `json:"group_map"`
	Credentials []struct {
		Mapped   string `json:"mapped_user"`
		Password string `json:"password"`
		Plugin   string `json:"plugin"`
	} `json:"server_credentials"`
}

// credentialPlugins are those by which the proxy can log in to a backend.
var credentialPlugins = []string{NativePassword, "caching_sha2_password", "ed25519", "mysql_clear_password", "pam"}

// ParseMapping reads a user_mapping_file and tells all that is wrong with it.
func ParseMapping(raw []byte) (*Mapping, error) {
	var f mappingFile
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("not the JSON of a mapping file: %w", describe(err))
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("not the JSON of a mapping file: something follows its object")
	}
	m := &Mapping{users: map[string]string{}, credentials: map[string]Credential{}}
	var faults []errs.Field
	fault := func(array string, i int, field, message string) {
		faults = append(faults, errs.Field{Path: fmt.Sprintf("%s[%d].%s", array, i, field), Message: message})
	}
	// entry tells whether the element i of an array has both names, and the
	// first of them for the first time.
	entry := func(array string, i int, field, original, mapped string, known bool) bool {
		switch {
		case original == "":
			fault(array, i, field, "must be given")
		case known:
			fault(array, i, field, "is there twice")
		case mapped == "":
			fault(array, i, "mapped_user", "must be given")
		default:
			return true
		}
		return false
	}
	for i, u := range f.Users {
		_, known := m.users[u.Original]
		if entry("user_map", i, "original_user", u.Original, u.Mapped, known) {
			m.users[u.Original] = u.Mapped
		}
	}
	groups := map[string]bool{}
	for i, g := range f.Groups {
		if entry("group_map", i, "original_group", g.Original, g.Mapped, groups[g.Original]) {
			groups[g.Original] = true
			m.groups = append(m.groups, mappedGroup{group: g.Original, user: g.Mapped})
		}
	}
	for i, c := range f.Credentials {
		_, known := m.credentials[c.Mapped]
		if !entry("server_credentials", i, "mapped_user", c.Mapped, c.Mapped, known) {
			continue
		}
		if c.Plugin == "" {
			c.Plugin = NativePassword
		}
		if !slices.Contains(credentialPlugins, c.Plugin) {
			fault("server_credentials", i, "plugin", "is none that the proxy can log in with")
		}
		m.credentials[c.Mapped] = Credential{Password: c.Password, Plugin: c.Plugin}
	}
	if len(faults) > 0 {
		return nil, errs.Invalid(faults...)
	}
	return m, nil
}

// ReadMapping is ParseMapping for the file at path.
func ReadMapping(path string) (*Mapping, error) {
	raw, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("mapping file: %w", err)
	}
	m, err := ParseMapping(raw)
	if err != nil {
		return nil, fmt.Errorf("mapping file %s: %w", path, err)
	}
	return m, nil
}

// String says how much there is, and nothing of what is secret.
func (m *Mapping) String() string {
	return fmt.Sprintf("%d users, %d groups, %d credentials", len(m.users), len(m.groups), len(m.credentials))
}

// GoString is String.
func (m *Mapping) GoString() string { return m.String() }

// User tells whom a user becomes. A user's own entry counts before those of
// groups, which are tried as they are written. groups is asked only when it
// matters; it may be nil.
func (m *Mapping) User(user string, groups func() []string) (string, bool) {
	if mapped, ok := m.users[user]; ok {
		return mapped, true
	}
	if len(m.groups) == 0 || groups == nil {
		return "", false
	}
	member := groups()
	for _, g := range m.groups {
		if slices.Contains(member, g.group) {
			return g.user, true
		}
	}
	return "", false
}

// Credential tells how a mapped user logs in to backends.
func (m *Mapping) Credential(mapped string) (Credential, bool) {
	c, ok := m.credentials[mapped]
	return c, ok
}

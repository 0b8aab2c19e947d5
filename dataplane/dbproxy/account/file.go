package account

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxFile bounds the files that are read.
const maxFile = 16 << 20

// accountsFile is user_accounts_file. What else it holds is ignored; what else
// its elements hold is a mistake.
type accountsFile struct {
	Users []json.RawMessage `json:"user"`
	Grant []json.RawMessage `json:"db"`
	Roles []json.RawMessage `json:"roles_mapping"`
}

// ident is in every element. Both must be there; an empty user is the
// anonymous one.
type ident struct {
	User *string `json:"user"`
	Host *string `json:"host"`
}

func (i ident) name() (Name, error) {
	if i.User == nil || i.Host == nil {
		return Name{}, errors.New("user and host must be given")
	}
	return Name{User: *i.User, Host: *i.Host}, nil
}

type fileUser struct {
	ident
	Password       string `json:"password"`
	Plugin         string `json:"plugin"`
	Authentication string `json:"authentication_string"`
	DefaultRole    string `json:"default_role"`
	Super          bool   `json:"super_priv"`
	AllDatabases   bool   `json:"global_db_priv"`
	Proxy          bool   `json:"proxy_priv"`
	Role           bool   `json:"is_role"`
}

type fileGrant struct {
	ident
	Database string `json:"db"`
}

type fileRole struct {
	ident
	Role string `json:"role"`
}

// ParseFile reads the accounts of a user_accounts_file. Errors name the
// element and show nothing of it.
func ParseFile(raw []byte) (*Table, error) {
	var f accountsFile
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("not the JSON of an accounts file: %w", describe(err))
	}
	var d Data
	roles := map[string]bool{}
	err := elements("user", f.Users, func(u fileUser, name Name) error {
		roles[name.User] = roles[name.User] || u.Role
		d.Accounts = append(d.Accounts, u.account(name))
		if u.Proxy {
			d.Proxies = append(d.Proxies, Proxy{Name: name})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	// A role has no host, whatever the file says.
	hostless := func(name Name) Name {
		if roles[name.User] {
			name.Host = ""
		}
		return name
	}
	err = elements("db", f.Grant, func(g fileGrant, name Name) error {
		if g.Database == "" {
			return errors.New("db must be given")
		}
		d.Grants = append(d.Grants, Grant{Name: hostless(name), Database: g.Database})
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = elements("roles_mapping", f.Roles, func(r fileRole, name Name) error {
		if r.Role == "" {
			return errors.New("role must be given")
		}
		d.Memberships = append(d.Memberships, Membership{Member: hostless(name), Role: Name{User: r.Role}})
		return nil
	})
	if err != nil {
		return nil, err
	}
	t := New(d)
	t.file = true
	return t, nil
}

func (i fileUser) identity() ident  { return i.ident }
func (i fileGrant) identity() ident { return i.ident }
func (i fileRole) identity() ident  { return i.ident }

// elements decodes the elements of one array.
func elements[T interface{ identity() ident }](array string, list []json.RawMessage, each func(T, Name) error) error {
	for i, raw := range list {
		var v T
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		err := describe(d.Decode(&v))
		var name Name
		if err == nil {
			name, err = v.identity().name()
		}
		if err == nil {
			err = each(v, name)
		}
		if err != nil {
			return fmt.Errorf("%s[%d]: %w", array, i, err)
		}
	}
	return nil
}

// describe keeps of an error of JSON what shows no value of the file.
func describe(err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Errorf("%s must be a %s", kind.Field, kind.Type)
	}
	return err
}

func (i fileUser) account(name Name) Account {
	a := Account{Name: name, Role: i.Role}
	if i.Role {
		a.Host = "" // as on the server
	}
	if i.Super {
		a.Privileges |= Super
	}
	if i.AllDatabases {
		a.Privileges |= Select
	}
	if i.DefaultRole != "" {
		a.DefaultRoles = []Name{{User: i.DefaultRole}}
	}
	if !i.Role {
		m := method(i.Plugin, i.Authentication)
		if m.Plugin == NativePassword && i.Password != "" {
			m.Text = i.Password
			if !strings.HasPrefix(m.Text, "*") {
				m.Text = "*" + m.Text
			}
		}
		a.Methods = []Method{m}
	}
	return a
}

// readFile reads a file of bounded size.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(raw) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return raw, err
}

// ReadFile is ParseFile for the file at path.
func ReadFile(path string) (*Table, error) {
	raw, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("accounts file: %w", err)
	}
	t, err := ParseFile(raw)
	if err != nil {
		return nil, fmt.Errorf("accounts file %s: %w", path, err)
	}
	return t, nil
}

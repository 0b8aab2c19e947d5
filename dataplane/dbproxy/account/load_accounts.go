package account

import (
	"encoding/json"
	"fmt"
	"strings"
)

// mariadbAccounts reads mysql.global_priv, or mysql.user where that is the
// older table or the only one that may be read. As a view mysql.user knows no
// locks and just the first method of an account.
func (l *loader) mariadbAccounts() error {
	const statement = "SELECT Host, User, Priv FROM mysql.global_priv"
	err := l.each(statement, func(f *fields) {
		l.data.Accounts = append(l.data.Accounts, parseGlobalPriv(f.name(), []byte(f.text("priv"))))
	})
	switch {
	case err == nil:
		return nil
	case missing(err):
		return l.userTable()
	case denied(err):
		l.data.Accounts = nil
		if l.userTable() != nil {
			return l.lacks("SELECT ON mysql.global_priv", err)
		}
		return nil
	}
	return fmt.Errorf("read mysql.global_priv: %w", err)
}

// globalPriv is the JSON in mysql.global_priv (MariaDB Knowledge Base,
// "mysql.global_priv Table").
type globalPriv struct {
	Access          Privileges  `json:"access"`
	Plugin          string      `json:"plugin"`
	Authentication  string      `json:"authentication_string"`
	Alternatives    []privOther `json:"auth_or"`
	PasswordChanged *int64      `json:"password_last_changed"`
	TLS             json.Number `json:"ssl_type"`
	Cipher          string      `json:"ssl_cipher"`
	Issuer          string      `json:"x509_issuer"`
	Subject         string      `json:"x509_subject"`
	DefaultRole     string      `json:"default_role"`
	Role            bool        `json:"is_role"`
	Locked          bool        `json:"account_locked"`
}

// privOther is one of several methods. The one without a plugin stands for
// what the object itself says, which is the method that SET PASSWORD changes.
type privOther struct {
	Plugin         string `json:"plugin"`
	Authentication string `json:"authentication_string"`
}

// parseGlobalPriv reads an account. One that makes no sense is taken for
// locked, so that no other account is chosen in its place.
func parseGlobalPriv(name Name, priv []byte) Account {
	var p globalPriv
	if err := json.Unmarshal(priv, &p); err != nil {
		return Account{Name: name, Locked: true}
	}
	a := Account{
		Name: name, Privileges: p.Access, Role: p.Role, Locked: p.Locked,
		Expired: p.PasswordChanged != nil && *p.PasswordChanged == 0,
		TLS:     demand(p.TLS.String(), p.Cipher, p.Issuer, p.Subject),
	}
	if p.DefaultRole != "" {
		a.DefaultRoles = []Name{{User: p.DefaultRole}}
	}
	if a.Role {
		return a
	}
	own := method(p.Plugin, p.Authentication)
	if len(p.Alternatives) == 0 {
		a.Methods = []Method{own}
	}
	for _, other := range p.Alternatives {
		if other.Plugin == "" {
			a.Methods = append(a.Methods, own)
		} else {
			a.Methods = append(a.Methods, method(other.Plugin, other.Authentication))
		}
	}
	return a
}

func method(plugin, text string) Method {
	if plugin == "" {
		plugin = NativePassword
	}
	return Method{Plugin: plugin, Text: text}
}

// userTable reads mysql.user, whose columns differ from version to version.
func (l *loader) userTable() error {
	return l.must("mysql.user", "SELECT * FROM mysql.user", func(f *fields) {
		a := Account{
			Name: f.name(), Role: f.yes("is_role"), Locked: f.yes("account_locked"), Expired: f.yes("password_expired"),
			TLS: demand(f.text("ssl_type"), f.text("ssl_cipher"), f.text("x509_issuer"), f.text("x509_subject")),
		}
		for column := range f.index {
			if bit, known := privilegeColumns[column]; known && f.yes(column) {
				a.Privileges |= bit
			}
		}
		if role := f.text("default_role"); role != "" {
			a.DefaultRoles = []Name{{User: role}}
		}
		if !a.Role {
			text := f.text("authentication_string")
			if text == "" { // before MySQL 5.7 and MariaDB 10.4
				text = f.text("password")
			}
			a.Methods = []Method{method(f.text("plugin"), text)}
		}
		l.data.Accounts = append(l.data.Accounts, a)
	})
}

// mysqlRoles reads the roles that MySQL has since 8.0.
func (l *loader) mysqlRoles() error {
	const edges = "SELECT FROM_HOST, FROM_USER, TO_HOST, TO_USER FROM mysql.role_edges"
	err := l.optional("mysql.role_edges", edges, func(f *fields) {
		l.data.Memberships = append(l.data.Memberships, Membership{
			Member: Name{User: f.text("to_user"), Host: f.text("to_host")},
			Role:   Name{User: f.text("from_user"), Host: f.text("from_host")},
		})
	})
	if err != nil {
		return err
	}
	all := false
	err = l.each("SELECT @@global.activate_all_roles_on_login AS on_login", func(f *fields) {
		all = f.text("on_login") == "1" || strings.EqualFold(f.text("on_login"), "ON")
	})
	if err != nil && !serverError(err, errUnknownVariable) {
		return fmt.Errorf("ask for activate_all_roles_on_login: %w", err)
	}
	defaults := map[Name][]Name{}
	const roles = "SELECT HOST, USER, DEFAULT_ROLE_HOST, DEFAULT_ROLE_USER FROM mysql.default_roles"
	err = l.optional("mysql.default_roles", roles, func(f *fields) {
		role := Name{User: f.text("default_role_user"), Host: f.text("default_role_host")}
		defaults[f.name()] = append(defaults[f.name()], role)
	})
	if err != nil {
		return err
	}
	if all {
		clear(defaults)
		for _, m := range l.data.Memberships {
			defaults[m.Member] = append(defaults[m.Member], m.Role)
		}
	}
	for i := range l.data.Accounts {
		l.data.Accounts[i].DefaultRoles = defaults[l.data.Accounts[i].Name]
	}
	return nil
}

package account

import (
	"log/slog"
	"strings"
)

// NativePassword is the plugin of accounts that name none.
const NativePassword = "mysql_native_password"

// Name is what tells accounts and roles apart. The roles of MariaDB have no
// Host; those of MySQL are accounts like others.
type Name struct{ User, Host string }

// String is the name as SQL writes it, without escapes.
func (n Name) String() string {
	if n.Host == "" {
		return "'" + n.User + "'"
	}
	return "'" + n.User + "'@'" + n.Host + "'"
}

// public is the role whose grants everybody has (MariaDB Knowledge Base,
// "GRANT": TO PUBLIC).
var public = Name{User: "PUBLIC"}

// Method is one way in which an account may prove who it is. Printed in any
// way it shows its plugin alone.
type Method struct {
	Plugin string
	// Text is the authentication string: a hash of the password, or what else
	// the plugin wants to know.
	Text string
}

// String is the name of the plugin.
func (m Method) String() string { return m.Plugin }

// GoString is String.
func (m Method) GoString() string { return m.Plugin }

// LogValue is String.
func (m Method) LogValue() slog.Value { return slog.StringValue(m.Plugin) }

// Privileges are the global privileges of an account, in the bits that MariaDB
// stores in mysql.global_priv.
type Privileges uint64

// The privileges that matter here.
const (
	Select        Privileges = 1 << 0
	ShowDatabases Privileges = 1 << 14
	Super         Privileges = 1 << 15

	// onDatabases are those that can also be given on one database. Who has
	// any of them may use every database.
	onDatabases Privileges = 1<<0 | 1<<1 | 1<<2 | 1<<3 | 1<<4 | 1<<5 | 1<<10 | 1<<11 | 1<<12 | 1<<13 |
		1<<16 | 1<<17 | 1<<18 | 1<<21 | 1<<22 | 1<<23 | 1<<24 | 1<<26 | 1<<27 | 1<<29
)

// privilegeColumns are the columns of mysql.user, in lower case.
var privilegeColumns = map[string]Privileges{
	"select_priv": 1 << 0, "insert_priv": 1 << 1, "update_priv": 1 << 2, "delete_priv": 1 << 3,
	"create_priv": 1 << 4, "drop_priv": 1 << 5, "reload_priv": 1 << 6, "shutdown_priv": 1 << 7,
	"process_priv": 1 << 8, "file_priv": 1 << 9, "grant_priv": 1 << 10, "references_priv": 1 << 11,
	"index_priv": 1 << 12, "alter_priv": 1 << 13, "show_db_priv": 1 << 14, "super_priv": 1 << 15,
	"create_tmp_table_priv": 1 << 16, "lock_tables_priv": 1 << 17, "execute_priv": 1 << 18,
	"repl_slave_priv": 1 << 19, "repl_client_priv": 1 << 20, "create_view_priv": 1 << 21,
	"show_view_priv": 1 << 22, "create_routine_priv": 1 << 23, "alter_routine_priv": 1 << 24,
	"create_user_priv": 1 << 25, "event_priv": 1 << 26, "trigger_priv": 1 << 27,
	"create_tablespace_priv": 1 << 28, "delete_history_priv": 1 << 29, "delete_versioning_rows_priv": 1 << 29,
}

// Account is one account or role of a server.
type Account struct {
	Name
	// Methods are the ways to log in: one of them has to succeed. A role has
	// none.
	Methods      []Method
	Privileges   Privileges
	Role         bool   // cannot log in (MariaDB)
	DefaultRoles []Name // switched on at login, if granted
	Locked       bool
	Expired      bool // its password is
	TLS          Demand
}

// external tells whether something other than the server knows the account's
// password, and so may turn the user into another one.
func (a *Account) external() bool {
	for _, m := range a.Methods {
		switch m.Plugin {
		case NativePassword, "mysql_old_password", "caching_sha2_password", "sha256_password", "ed25519", "parsec":
		default:
			return true
		}
	}
	return false
}

// Grant gives a user rights in databases or in a part of them.
type Grant struct {
	Name
	Database string
	// Literal is set for grants on tables, columns and routines: their
	// database is a name, that of others is a pattern.
	Literal bool
}

// Membership gives a role to an account or to another role.
type Membership struct {
	Member Name
	Role   Name
}

// Proxy lets an account become another one at login.
type Proxy struct {
	Name
	Proxied Name
}

// Product is what kind of server accounts come from; the rules differ.
type Product uint8

// The products.
const (
	MariaDB Product = iota
	MySQL
)

// product reads it from the version that a server tells.
func product(version string) Product {
	if strings.Contains(strings.ToLower(version), "mariadb") {
		return MariaDB
	}
	return MySQL
}

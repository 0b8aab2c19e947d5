package dbproxy

import (
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

// bools are switches that are off by default.
func bools(description string, names ...string) (specs param.Specs) {
	for _, name := range names {
		specs = append(specs, param.Spec{Name: name, Type: param.TypeBool, Default: false, Description: description})
	}
	return specs
}

var tlsVersions = []string{"MAX", "TLSv10", "TLSv11", "TLSv12", "TLSv13"}

// tlsSpecs are the parameters of TLS on servers and listeners.
func tlsSpecs() param.Specs {
	return param.Specs{
		{Name: "ssl", Type: param.TypeBool, Default: false, Description: "Use TLS"},
		{Name: "ssl_cert", Type: param.TypePath, Description: "Certificate, PEM"},
		{Name: "ssl_key", Type: param.TypePath, Description: "Private key of the certificate, PEM"},
		{Name: "ssl_ca", Type: param.TypePath, Aliases: []string{"ssl_ca_cert"}, Description: "Certificates of the authorities trusted, PEM"},
		{Name: "ssl_version", Type: param.TypeEnumMask, Enum: tlsVersions, Default: []string{"MAX"}, Description: "Versions of TLS allowed; MAX is 1.2 and 1.3"},
		{Name: "ssl_cipher", Type: param.TypeString, Description: "Ciphers allowed, as OpenSSL lists them"},
		{Name: "ssl_cert_verify_depth", Type: param.TypeCount, Default: int64(9), Description: "Certificates in a chain at most"},
		{Name: "ssl_verify_peer_certificate", Type: param.TypeBool, Default: false, Description: "Demand a valid certificate of the peer"},
		{Name: "ssl_verify_peer_host", Type: param.TypeBool, Default: false, Description: "Demand that the certificate is for the peer's host"},
	}
}

// ServerSpecs are the parameters of servers ("Server", MaxScale Configuration
// Guide).
func ServerSpecs() param.Specs {
	return append(param.Specs{
		{Name: "address", Type: param.TypeHost, Description: "Host name or IP address"},
		{Name: "port", Type: param.TypeCount, Default: int64(3306), Min: 1, Max: 65535, Description: "TCP port"},
		{Name: "socket", Type: param.TypePath, Description: "Unix socket, instead of an address"},
		{Name: "private_address", Type: param.TypeHost, Description: "Address by which the servers know each other"},
		{Name: "monitoruser", Type: param.TypeString, Description: "User of the monitor on this server"},
		{Name: "monitorpw", Type: param.TypePassword, Description: "Password of that user"},
		{Name: "extra_port", Type: param.TypeCount, Default: int64(0), Max: 65535, Description: "Port that is tried first by the monitor and for accounts"},
		{Name: "persistpoolmax", Type: param.TypeCount, Default: int64(0), Description: "Idle connections kept for other sessions at most"},
		{Name: "persistmaxtime", Type: param.TypeDuration, Default: time.Duration(0), Description: "How long an idle connection is kept"},
		{Name: "max_routing_connections", Type: param.TypeCount, Default: int64(0), Description: "Connections of sessions at most; 0 is any number"},
		{Name: "proxy_protocol", Type: param.TypeBool, Default: false, Description: "Send the client's address in a PROXY header"},
		{Name: "disk_space_threshold", Type: param.TypeString, Description: "Disk use that is too much, as path:percent"},
		{Name: "rank", Type: param.TypeEnum, Enum: []string{"primary", "secondary"}, Default: "primary", Description: "Secondary servers are used when no primary one can be"},
		{Name: "priority", Type: param.TypeInt, Default: int64(0), Description: "Preference where a monitor chooses"},
		{Name: "replication_custom_options", Type: param.TypeString, Description: "Options added to CHANGE MASTER on this server"},
		{Name: "protocol", Type: param.TypeString, Ignored: true, Deprecated: true},
		{Name: "authenticator", Type: param.TypeString, Ignored: true, Deprecated: true},
	}, tlsSpecs()...)
}

// ListenerSpecs are the parameters of listeners ("Listener", MaxScale
// Configuration Guide).
func ListenerSpecs() param.Specs {
	return append(param.Specs{
		{Name: "address", Type: param.TypeHost, Default: "::", Fixed: true, Description: "Address to listen on"},
		{Name: "port", Type: param.TypeCount, Default: int64(0), Max: 65535, Fixed: true, Description: "TCP port to listen on"},
		{Name: "socket", Type: param.TypePath, Fixed: true, Description: "Unix socket to listen on, instead of a port"},
		{Name: "protocol", Type: param.TypeEnum, Default: "MariaDBProtocol", Fixed: true, Enum: []string{"MariaDBProtocol"},
			EnumAliases: map[string]string{"mariadb": "MariaDBProtocol", "mariadbclient": "MariaDBProtocol", "mysqlclient": "MariaDBProtocol"}, Description: "Protocol of the clients"},
		{Name: "authenticator", Type: param.TypeString, Fixed: true, EnumAliases: map[string]string{"mysqlauth": "MariaDBAuth"}, Description: "Login plugins, separated by commas"},
		{Name: "authenticator_options", Type: param.TypeString, Fixed: true, Description: "Options of the login plugins"},
		{Name: "sql_mode", Type: param.TypeEnum, Enum: []string{"default", "oracle"}, Default: "default", Description: "Dialect that sessions begin in"},
		{Name: "connection_init_sql_file", Type: param.TypePath, Description: "File of statements that each new connection to a server runs"},
		{Name: "proxy_protocol_networks", Type: param.TypeString, Description: "Networks from which PROXY headers are taken"},
		{Name: "user_mapping_file", Type: param.TypePath, Description: "File that tells who clients are on the servers"},
		{Name: "connection_metadata", Type: param.TypeStringList, Description: "Variables told to clients at login, as name=value"},
		{Name: "MariaDBProtocol", Type: param.TypeObject, Default: map[string]any{"allow_replication": true}, Description: "Options of the protocol: allow_replication, which lets the replication protocol pass"},
		{Name: "ssl_crl", Type: param.TypePath, Description: "Certificates that are revoked, PEM"},
	}, tlsSpecs()...)
}

// ServiceSpecs are the parameters that all services have ("Service", MaxScale
// Configuration Guide).
func ServiceSpecs() param.Specs {
	return append(param.Specs{
		{Name: "user", Type: param.TypeString, Mandatory: true, Description: "User that reads the accounts of the servers"},
		{Name: "password", Type: param.TypePassword, Mandatory: true, Aliases: []string{"passwd"}, Description: "Password of that user"},
		{Name: "enable_root_user", Type: param.TypeBool, Default: false, Description: "Let root log in"},
		{Name: "max_connections", Type: param.TypeCount, Default: int64(0), Description: "Clients at most; 0 is any number"},
		{Name: "wait_timeout", Type: param.TypeDuration, Default: time.Duration(0), Aliases: []string{"connection_timeout"}, Description: "How long a client may be idle; 0 is for ever"},
		{Name: "auth_all_servers", Type: param.TypeBool, Default: false, Description: "Read the accounts of all servers"},
		{Name: "strip_db_esc", Type: param.TypeBool, Default: true, Description: "Take escapes out of database names in grants"},
		{Name: "localhost_match_wildcard_host", Type: param.TypeBool, Default: true, Description: "Let accounts for any host log in from this machine"},
		{Name: "version_string", Type: param.TypeString, Description: "Version told to clients"},
		{Name: "log_auth_warnings", Type: param.TypeBool, Default: true, Description: "Log failed logins"},
		{Name: "connection_keepalive", Type: param.TypeDuration, Default: 300 * time.Second, Description: "How long a connection to a server is idle before it is pinged; 0 is for ever"},
		{Name: "net_write_timeout", Type: param.TypeDuration, Default: time.Duration(0), Description: "How long a client may take to take what it is sent"},
		{Name: "max_sescmd_history", Type: param.TypeCount, Default: int64(50), Description: "Commands that change the session kept at most"},
		{Name: "prune_sescmd_history", Type: param.TypeBool, Default: true, Description: "Forget the oldest of them when there are too many"},
		{Name: "idle_session_pool_time", Type: param.TypeDuration, Fine: true, Default: -time.Second, Negative: true, Description: "How long a session is idle before others may have its connections; -1 is never"},
		{Name: "multiplex_timeout", Type: param.TypeDuration, Fine: true, Default: 60 * time.Second, Description: "How long a session waits for a connection"},
		{Name: "rank", Type: param.TypeEnum, Enum: []string{"primary", "secondary"}, Default: "primary", Description: "Preference as the target of another service"},
		{Name: "retain_last_statements", Type: param.TypeInt, Default: int64(-1), Description: "Statements remembered of each session; -1 is the global setting"},
		{Name: "session_trace", Type: param.TypeBool, Default: false, Description: "Keep the last 100 lines of the log of each session, where the setting of the proxy keeps none"},
		{Name: "user_accounts_file", Type: param.TypePath, Fixed: true, Description: "File of further accounts"},
		{Name: "user_accounts_file_usage", Type: param.TypeEnum, Enum: []string{"add_when_load_ok", "file_only_always"}, Default: "add_when_load_ok", Fixed: true, Description: "Whether the accounts of the servers count too"},
		{Name: "retry_on_failure", Type: param.TypeBool, Default: true, Description: "Try again to open a listener that cannot be opened"},
		{Name: "max_retry_interval", Type: param.TypeDuration, Default: 3600 * time.Second, Description: "How long to wait between such tries at most"},
		{Name: "weightby", Type: param.TypeString, Ignored: true, Deprecated: true},
		{Name: "force_connection_keepalive", Type: param.TypeBool, Default: false, Description: "Ping connections to servers also when the client is idle for longer"},
		{Name: "disable_sescmd_history", Type: param.TypeBool, Default: false, Description: "Keep none of the commands that change the session"},
		{Name: "session_track_trx_state", Type: param.TypeBool, Default: false, Deprecated: true, Description: "Not used: what servers tell of transactions always counts"},
	}, bools("Log this level for the service and its sessions, where it is not logged anyway", "log_debug", "log_info", "log_notice", "log_warning")...)
}

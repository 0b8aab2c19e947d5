package dbproxy

import (
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

// SettingsSpecs are the parameters of the whole proxy that have a meaning for
// its traffic ("Global Settings", MaxScale Configuration Guide).
func SettingsSpecs() param.Specs {
	return param.Specs{
		{Name: "auth_connect_timeout", Type: param.TypeDuration, Default: 10 * time.Second, Description: "How long connecting to a server may take"},
		{Name: "auth_read_timeout", Type: param.TypeDuration, Default: 10 * time.Second, Description: "How long reading accounts may take"},
		{Name: "auth_write_timeout", Type: param.TypeDuration, Default: 10 * time.Second, Description: "How long a server may take to take a request for accounts"},
		{Name: "dump_last_statements", Type: param.TypeEnum, Enum: []string{"never", "on_error", "on_close"}, Default: "never", Description: "When the statements that are remembered of a session (retain_last_statements) are written to the log, without their constants: at its end, or if that is bad"},
		{Name: "local_address", Type: param.TypeHost, Description: "Address from which servers are connected to; a name is looked up by each process"},
		{Name: "max_auth_errors_until_block", Type: param.TypeCount, Default: int64(10), Description: "Failed logins after which a host is refused for a minute; 0 is never"},
		{Name: "passive", Type: param.TypeBool, Default: false, Description: "Watch the servers, but change nothing on them"},
		{Name: "query_retry_timeout", Type: param.TypeDuration, Default: 5 * time.Second, Description: "How long the proxy's own statements are tried again"},
		{Name: "query_retries", Type: param.TypeCount, Default: int64(1), Description: "How often the proxy's own statements, those of monitors and those that read accounts, are tried again when a connection breaks"},
		{Name: "retain_last_statements", Type: param.TypeCount, Default: int64(0), Description: "Statements remembered of each session"},
		{Name: "session_trace", Type: param.TypeCount, Default: int64(0), Description: "Lines of its log that are kept of each session"},
		{Name: "session_trace_match", Type: param.TypeRegex, Description: "Write these lines to the log, at the end of the session, only if this is found in them (without look-around)"},
		{Name: "skip_name_resolve", Type: param.TypeBool, Default: false, Description: "Do not look up the names of clients' hosts"},
		{Name: "threads", Type: param.TypeCount, Default: int64(0), Max: 256, Description: "Event loops at most that sessions run on which begin from then on, as many as it takes; 0 is one for each processor, and fewer where GOMAXPROCS is set"},
		{Name: "users_refresh_interval", Type: param.TypeDuration, Default: time.Duration(0), Description: "How often accounts are read by the clock; 0 is never"},
		{Name: "users_refresh_time", Type: param.TypeDuration, Default: 30 * time.Second, Negative: true, Description: "How soon after a reading a failed login leads to another; negative is never"},
	}
}

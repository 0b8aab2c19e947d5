package mariadbmon

import (
	"slices"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

// Words of master_conditions and slave_conditions.
const (
	condNone            = "none"
	condConnectingSlave = "connecting_slave"
	condConnectedSlave  = "connected_slave"
	condRunningSlave    = "running_slave"
	condPrimaryMonitor  = "primary_monitor_master"
	condDiskSpaceOK     = "disk_space_ok"
	condLinkedMaster    = "linked_master"
	condRunningMaster   = "running_master"
	condWritableMaster  = "writable_master"
)

// Values of cooperative_monitoring_locks.
const (
	locksNone      = "none"
	locksOfAll     = "majority_of_all"
	locksOfRunning = "majority_of_running"
)

// specs are the parameters of the monitor ("Common Monitor Parameters" and
// "MariaDB Monitor", MaxScale), older ones too.
func specs() param.Specs {
	return slices.Concat(commonSpecs(), roleSpecs(), operationSpecs(), toolSpecs(), oldSpecs())
}

func duration(name string, value time.Duration, description string) param.Spec {
	return param.Spec{Name: name, Type: param.TypeDuration, Default: value, Description: description}
}

// wait is a duration of a second at least.
func wait(name string, value time.Duration, description string) param.Spec {
	s := duration(name, value, description)
	s.Min, s.Max = int64(time.Second), int64(24*time.Hour)
	return s
}

func flag(name string, value bool, description string) param.Spec {
	return param.Spec{Name: name, Type: param.TypeBool, Default: value, Description: description}
}

func commonSpecs() param.Specs {
	interval := duration("monitor_interval", 2*time.Second, "How often the servers are looked at")
	interval.Unit, interval.Min, interval.Max = time.Millisecond, int64(100*time.Millisecond), int64(24*time.Hour)
	disk := duration("disk_space_check_interval", 0, "How often the disks are looked at; 0 is never")
	disk.Unit = time.Millisecond
	return param.Specs{
		{Name: "user", Type: param.TypeString, Mandatory: true, Description: "User that the monitor logs in as"},
		{Name: "password", Type: param.TypePassword, Mandatory: true, Aliases: []string{"passwd"}, Description: "Password of that user"},
		interval,
		wait("backend_connect_timeout", 3*time.Second, "How long connecting may take"),
		{Name: "backend_connect_attempts", Type: param.TypeCount, Default: int64(1), Min: 1, Max: 100, Description: "How often connecting is tried in a tick"},
		wait("backend_read_timeout", 3*time.Second, "How long an answer may take"),
		wait("backend_write_timeout", 3*time.Second, "How long sending may take"),
		{Name: "script", Type: param.TypeString, Description: "Program to run when the state of a server changes, with its arguments"},
		wait("script_timeout", 90*time.Second, "How long the program may run"),
		{Name: "events", Type: param.TypeEnumMask, Enum: eventNames(), Default: eventNames(), Description: "Events for which the program is run"},
		{Name: "disk_space_threshold", Type: param.TypeString, Description: "Disk use that is too much, as path:percent, for servers without one of their own"},
		disk,
		duration("journal_max_age", 28800*time.Second, "How old what was known before a restart may be"),
	}
}

func roleSpecs() param.Specs {
	return param.Specs{
		flag("assume_unique_hostnames", true, "Tell masters by host and port rather than by server_id"),
		{Name: "failcount", Type: param.TypeCount, Default: int64(5), Max: 1 << 20, Description: "Ticks for which a master must be down to be lost"},
		{Name: "master_conditions", Type: param.TypeEnumMask, Default: []string{condPrimaryMonitor}, Description: "What a master must fulfil",
			Enum: []string{condNone, condConnectingSlave, condConnectedSlave, condRunningSlave, condPrimaryMonitor, condDiskSpaceOK}},
		{Name: "slave_conditions", Type: param.TypeEnumMask, Default: []string{condNone}, Description: "What a replica must fulfil",
			Enum: []string{condNone, condLinkedMaster, condRunningMaster, condWritableMaster, condPrimaryMonitor}},
		flag("ignore_external_masters", false, "Do not tell of masters that are not watched"),
		{Name: "script_max_replication_lag", Type: param.TypeInt, Default: int64(-1), Min: -1, Max: 1 << 31, Description: "Lag in seconds that is an event; -1 is none"},
		{Name: "cooperative_monitoring_locks", Type: param.TypeEnum, Enum: []string{locksNone, locksOfAll, locksOfRunning}, Default: locksNone,
			Description: "How several monitors agree which of them acts"},
	}
}

func operationSpecs() param.Specs {
	return param.Specs{
		flag("auto_failover", false, "Replace a master that is lost"),
		flag("auto_rejoin", false, "Let servers that come back follow the master"),
		duration("failover_timeout", 90*time.Second, "How long a failover may take"),
		duration("switchover_timeout", 90*time.Second, "How long a switchover or rejoin may take"),
		flag("verify_master_failure", true, "Ask the replicas whether they still hear of the master"),
		duration("master_failure_timeout", 10*time.Second, "For how long what they heard counts"),
		flag("enforce_simple_topology", false, "Have one master and let all others follow it"),
		flag("enforce_read_only_slaves", false, "Make replicas read-only"),
		flag("enforce_read_only_servers", false, "Make all servers but the master read-only"),
		flag("enforce_writable_master", false, "Make the master writable"),
		flag("maintenance_on_low_disk_space", true, "Take servers that are no master out of use when a disk is full"),
		flag("switchover_on_low_disk_space", false, "Replace a master whose disk is full"),
		flag("handle_events", true, "Move scheduled events with the master"),
		{Name: "servers_no_promotion", Type: param.TypeStringList, Description: "Servers that are not to become master by themselves"},
		{Name: "replication_user", Type: param.TypeString, Description: "User that replicas log in as; without it the monitor's"},
		{Name: "replication_password", Type: param.TypePassword, Description: "Password of that user"},
		flag("replication_master_ssl", false, "Replicate over TLS"),
		{Name: "replication_custom_options", Type: param.TypeString, Description: "Options added to CHANGE MASTER"},
		{Name: "promotion_sql_file", Type: param.TypePath, Description: "File of statements that a new master runs"},
		{Name: "demotion_sql_file", Type: param.TypePath, Description: "File of statements that an old master runs"},
	}
}

// toolSpecs are for operations with other tools, of which there are none here;
// they are kept as they are given.
func toolSpecs() param.Specs {
	return param.Specs{
		{Name: "ssh_user", Type: param.TypeString, Description: "Kept, not used"},
		{Name: "ssh_keyfile", Type: param.TypePath, Description: "Kept, not used"},
		flag("ssh_check_host_key", true, "Kept, not used"),
		duration("ssh_timeout", 10*time.Second, "Kept, not used"),
		{Name: "ssh_port", Type: param.TypeCount, Default: int64(22), Max: 65535, Description: "Kept, not used"},
		{Name: "rebuild_port", Type: param.TypeCount, Default: int64(4444), Max: 65535, Description: "Kept, not used"},
		{Name: "mariabackup_use_memory", Type: param.TypeString, Default: "1G", Aliases: []string{"mariadb-backup_use_memory"}, Description: "Kept, not used"},
		{Name: "mariabackup_parallel", Type: param.TypeCount, Default: int64(1), Aliases: []string{"mariadb-backup_parallel"}, Description: "Kept, not used"},
		{Name: "backup_storage_address", Type: param.TypeString, Description: "Kept, not used"},
		{Name: "backup_storage_path", Type: param.TypePath, Description: "Kept, not used"},
		{Name: "cs_admin_port", Type: param.TypeCount, Default: int64(8640), Max: 65535, Description: "Kept, not used"},
		{Name: "cs_admin_base_path", Type: param.TypeString, Default: "/cmapi/0.4.0", Description: "Kept, not used"},
		{Name: "cs_admin_api_key", Type: param.TypePassword, Description: "Kept, not used"},
	}
}

// oldSpecs are parameters of older versions. Those that have a successor are
// heeded.
func oldSpecs() param.Specs {
	list := param.Specs{
		flag("detect_stale_master", true, "false adds running_slave to master_conditions"),
		flag("detect_stale_slave", true, "false adds linked_master and running_master to slave_conditions"),
		flag("detect_standalone_master", true, "false adds connecting_slave to master_conditions"),
		{Name: "detect_replication_lag", Type: param.TypeBool, Ignored: true},
		{Name: "multimaster", Type: param.TypeBool, Ignored: true},
		{Name: "mysql51_replication", Type: param.TypeBool, Ignored: true},
		{Name: "allow_cluster_recovery", Type: param.TypeBool, Ignored: true},
	}
	for i := range list {
		list[i].Deprecated = true
	}
	return list
}

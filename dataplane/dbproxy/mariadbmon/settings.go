package mariadbmon

import (
	"fmt"
	"slices"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

// settings are the parameters that decisions are made from.
type settings struct {
	uniqueHosts     bool
	failcount       int
	masterWants     []string
	slaveWants      []string
	ignoreExternal  bool
	lagEvent        int64 // seconds, -1 none
	autoFailover    bool
	autoRejoin      bool
	verifyFailure   bool
	failureTimeout  time.Duration
	simpleTopology  bool
	noPromotion     []string
	diskThreshold   thresholds
	diskInterval    time.Duration
	lowDiskMaint    bool
	lowDiskSwitch   bool
	locks           string
	handleEvents    bool
	failoverTimeout time.Duration
	switchTimeout   time.Duration
	script          []string
	scriptEvents    []string
	scriptTimeout   time.Duration
	retries         func() (times int, within time.Duration)
}

// readSettings reads the parameters of a monitor of the named servers.
func readSettings(p param.Set, names []string) (*settings, error) {
	s := &settings{
		uniqueHosts: p.Bool("assume_unique_hostnames"), failcount: int(p.Int("failcount")),
		masterWants: slices.Clone(p.List("master_conditions")), slaveWants: slices.Clone(p.List("slave_conditions")),
		ignoreExternal: p.Bool("ignore_external_masters"), lagEvent: p.Int("script_max_replication_lag"),
		autoFailover: p.Bool("auto_failover"), autoRejoin: p.Bool("auto_rejoin"), verifyFailure: p.Bool("verify_master_failure"),
		failureTimeout: p.Duration("master_failure_timeout"), simpleTopology: p.Bool("enforce_simple_topology"),
		noPromotion: p.List("servers_no_promotion"), diskInterval: p.Duration("disk_space_check_interval"),
		lowDiskMaint: p.Bool("maintenance_on_low_disk_space"), lowDiskSwitch: p.Bool("switchover_on_low_disk_space"),
		locks: p.String("cooperative_monitoring_locks"), handleEvents: p.Bool("handle_events"),
		failoverTimeout: p.Duration("failover_timeout"), switchTimeout: p.Duration("switchover_timeout"),
		scriptEvents: p.List("events"), scriptTimeout: p.Duration("script_timeout"),
	}
	if s.simpleTopology {
		s.uniqueHosts, s.autoFailover, s.autoRejoin = true, true, true
	}
	s.readOld(p)
	for _, name := range s.noPromotion {
		if !slices.Contains(names, name) {
			return nil, param.Fault{Name: "servers_no_promotion", Message: fmt.Sprintf("has %q, which is not a server of the monitor", name)}
		}
	}
	if (p.String("replication_user") == "") != (p.String("replication_password") == "") {
		return nil, param.Fault{Name: "replication_user", Message: "and replication_password must be given together"}
	}
	var err error
	if s.diskThreshold, err = parseThresholds(p.String("disk_space_threshold")); err != nil {
		return nil, param.Fault{Name: "disk_space_threshold", Message: err.Error()}
	}
	if s.script, err = splitCommand(p.String("script")); err != nil {
		return nil, param.Fault{Name: "script", Message: err.Error()}
	}
	return s, nil
}

// readOld reads the parameters that have become conditions.
func (s *settings) readOld(p param.Set) {
	if !p.Bool("detect_stale_master") {
		s.masterWants = append(s.masterWants, condRunningSlave)
	}
	if !p.Bool("detect_standalone_master") {
		s.masterWants = append(s.masterWants, condConnectingSlave)
	}
	if !p.Bool("detect_stale_slave") {
		s.slaveWants = append(s.slaveWants, condLinkedMaster, condRunningMaster)
	}
}

func (s *settings) masterWant(word string) bool { return slices.Contains(s.masterWants, word) }
func (s *settings) slaveWant(word string) bool  { return slices.Contains(s.slaveWants, word) }

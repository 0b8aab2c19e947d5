package mariadbmon

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
)

// watched is a server with what is known about it. In a tick it belongs to a
// goroutine of its own, otherwise to that of Run.
type watched struct {
	conn
	obs observed

	downTicks int
	roleNow   role
	lastEvent string
	eventTime time.Time
	lagHigh   bool // whether the lag is above script_max_replication_lag

	events    []scheduledEvent // that were enabled when it was last the master
	checkDisk bool             // in this tick
	diskPath  string           // that is full
	locks     serverLocks
	ioSeen    map[string]heard // of replication connections, by name
}

// heard is when a replica has last heard of its master.
type heard struct {
	ioPos      string
	heartbeats int64
	at         time.Time
}

// look brings what is known about the server up to date.
func (w *watched) look(ctx context.Context, s *settings) {
	w.named()
	err := w.inquire(ctx, s)
	w.obs.maintenance = w.srv.Status().Has(dbproxy.Maintenance)
	w.obs.up = w.session != nil && (err == nil || answered(err))
	w.obs.denied = denied(err)
	w.obs.problem = ""
	if err != nil {
		w.obs.problem = err.Error()
	}
	if w.obs.up {
		w.downTicks, w.obs.seen = 0, true
	} else {
		w.locks = serverLocks{}
	}
}

// inquire connects and asks, and does so again when the connection breaks on the
// way. A server that does not answer in time is not asked again: what it is
// must be known in time.
func (w *watched) inquire(ctx context.Context, s *settings) error {
	begun := time.Now()
	times, within := s.retries()
	for tries := 0; ; tries++ {
		old, err := w.open(ctx)
		if err == nil {
			err = w.ask(ctx, s)
		}
		if err == nil || answered(err) || timedOut(err) || unreachable(err) || ctx.Err() != nil {
			return err
		}
		idle := old && tries == 0 // it may have been cut by anyone
		if !idle && (tries >= times || time.Since(begun) >= within) {
			return err
		}
	}
}

// unreachable tells whether there was nobody to connect to.
func unreachable(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

func timedOut(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && t.Timeout()
}

// named tells under which address the others know the server.
func (w *watched) named() {
	o := &w.obs
	p := w.srv.Params()
	o.name, o.hosts, o.port = w.srv.Name(), nil, 0
	for _, name := range []string{"private_address", "address"} {
		if host := strings.Trim(p.String(name), "[]"); host != "" {
			o.hosts, o.port = append(o.hosts, host), int(p.Int("port"))
		}
	}
}

// ask queries all that decisions are made from.
func (w *watched) ask(ctx context.Context, s *settings) error {
	if err := w.askState(ctx); err != nil {
		return err
	}
	if err := w.askLinks(ctx); err != nil {
		return err
	}
	if s.locks != locksNone {
		if err := w.askLocks(ctx); err != nil {
			return err
		}
	}
	if w.checkDisk {
		return w.askDisks(ctx, s)
	}
	return nil
}

func (w *watched) askState(ctx context.Context) error {
	o := &w.obs
	r, err := w.one(ctx, "SELECT VERSION() AS version")
	if err != nil {
		return err
	}
	o.version = r["version"]
	o.mariadb = strings.Contains(strings.ToLower(o.version), "mariadb")
	statement := "SELECT @@GLOBAL.server_id AS id, @@GLOBAL.read_only AS ro, @@GLOBAL.log_bin AS bin"
	if o.mariadb {
		statement += ", @@GLOBAL.log_slave_updates AS updates, @@GLOBAL.gtid_domain_id AS domain, @@GLOBAL.gtid_current_pos AS current, @@GLOBAL.gtid_binlog_pos AS binlog"
	}
	if r, err = w.one(ctx, statement); err != nil {
		return err
	}
	o.serverID, o.readOnly, o.logBin, o.logSlave = r.number(0, "id"), r.on("ro"), r.on("bin"), r.on("updates")
	o.domain, o.domainKnown = uint32(r.number(0, "domain")), o.mariadb
	o.current, o.binlog = parsePosition(r["current"]), parsePosition(r["binlog"])
	if r, err = w.one(ctx, "SHOW GLOBAL STATUS LIKE 'Uptime'"); err != nil {
		return err
	}
	o.uptime = time.Duration(r.number(0, "value")) * time.Second
	return nil
}

func (w *watched) askLinks(ctx context.Context) error {
	statement := "SHOW ALL SLAVES STATUS"
	if !w.obs.mariadb {
		statement = "SHOW REPLICA STATUS"
		if major, err := strconv.Atoi(strings.SplitN(w.obs.version, ".", 2)[0]); err != nil || major < 8 {
			statement = "SHOW SLAVE STATUS"
		}
	}
	list, err := w.query(ctx, statement)
	if err != nil {
		return err
	}
	before := w.obs.links
	w.obs.links = make([]link, 0, len(list))
	seen := make(map[string]heard, len(list))
	for _, r := range list {
		l := readLink(r)
		for i := range before {
			if b := &before[i]; b.Name == l.Name && b.MasterHost == l.MasterHost && b.MasterPort == l.MasterPort && b.MasterServerID == l.MasterServerID {
				l.connected = l.connected || b.connected
			}
		}
		h, ok := w.ioSeen[l.Name]
		if !ok || h.ioPos != l.GTIDIOPos || h.heartbeats != l.heartbeats {
			h = heard{l.GTIDIOPos, l.heartbeats, time.Now()}
		}
		seen[l.Name] = h
		w.obs.links = append(w.obs.links, l)
	}
	w.ioSeen = seen
	return nil
}

func readLink(r row) link {
	l := link{Replication: dbproxy.Replication{
		Name:           r.first("connection_name", "channel_name"),
		MasterHost:     r.first("master_host", "source_host"),
		MasterPort:     int(r.number(0, "master_port", "source_port")),
		MasterServerID: r.number(0, "master_server_id", "source_server_id"),
		IORunning:      r.first("slave_io_running", "replica_io_running"),
		SQLRunning:     r.first("slave_sql_running", "replica_sql_running"),
		SecondsBehind:  r.number(-1, "seconds_behind_master", "seconds_behind_source"),
		UsingGTID:      r.first("using_gtid"),
		GTIDIOPos:      r.first("gtid_io_pos"),
		LastIOError:    r.first("last_io_error"),
		LastSQLError:   r.first("last_sql_error"),
	}}
	l.heartbeats = r.number(0, "slave_received_heartbeats")
	l.connected = l.IORunning == yes
	l.ioPos = parsePosition(l.GTIDIOPos)
	l.ssl = strings.EqualFold(r.first("master_ssl_allowed", "source_ssl_allowed"), yes)
	return l
}

// askDisks needs a plugin: where it is not there, nothing is known.
func (w *watched) askDisks(ctx context.Context, s *settings) error {
	list := s.diskThreshold
	if own := w.srv.Params().String("disk_space_threshold"); own != "" {
		var err error
		if list, err = parseThresholds(own); err != nil {
			list = s.diskThreshold
		}
	}
	w.obs.lowDisk = false
	if len(list) == 0 {
		return nil
	}
	rows, err := w.query(ctx, "SELECT Path, Total, Available FROM information_schema.DISKS")
	if err != nil {
		if answered(err) {
			return nil
		}
		return err
	}
	var disks []disk
	for _, r := range rows {
		disks = append(disks, disk{r["path"], r.number(0, "total"), r.number(0, "available")})
	}
	w.diskPath, w.obs.lowDisk = list.full(disks)
	return nil
}

package proxy

import (
	"context"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/internal/errs"
)

// programSpecs are the settings of the whole program: those of the data plane,
// and those that the existing clients of this API know ("Global Settings",
// MaxScale Configuration Guide). What has no meaning here is kept and shown.
func programSpecs() param.Specs {
	specs := slices.Concat(dbproxy.SettingsSpecs(), logSpecs(), fixedSpecs())
	for i := range specs {
		if specs[i].Name == "threads" {
			specs[i].Default = int64(dbproxy.Threads()) // clients show it as it is
		}
	}
	flag := func(name string, on bool) {
		specs = append(specs, param.Spec{Name: name, Type: param.TypeBool, Default: on})
	}
	flag("admin_audit", false)
	flag("admin_log_auth_failures", true)
	for _, name := range []string{"admin_audit_file", "admin_oidc_url", "config_sync_cluster", "config_sync_user"} {
		specs = append(specs, param.Spec{Name: name, Type: param.TypeString})
	}
	count := func(name string, n int64) {
		specs = append(specs, param.Spec{Name: name, Type: param.TypeCount, Default: n})
	}
	count("rebalance_threshold", 20)
	count("rebalance_window", 10)
	return append(specs, param.Specs{
		{Name: "admin_audit_exclude_methods", Type: param.TypeEnumMask, Enum: []string{"GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"}},
		{Name: "admin_jwt_max_age", Type: param.TypeDuration, Default: 24 * time.Hour},
		{Name: "admin_ssl_cert", Type: param.TypePath}, {Name: "admin_ssl_key", Type: param.TypePath},
		{Name: "config_sync_interval", Type: param.TypeDuration, Default: 5 * time.Second},
		{Name: "config_sync_password", Type: param.TypePassword},
		{Name: "config_sync_timeout", Type: param.TypeDuration, Default: 10 * time.Second},
		{Name: "key_manager", Type: param.TypeEnum, Enum: []string{"none", "file"}, Default: "none"},
		{Name: "query_classifier_cache_size", Type: param.TypeSize, Default: int64(0)},
		{Name: "rebalance_period", Type: param.TypeDuration, Default: time.Duration(0)},
		{Name: "writeq_high_water", Type: param.TypeSize, Default: int64(65536)},
		{Name: "writeq_low_water", Type: param.TypeSize, Default: int64(1024)},
	}...)
}

// logSpecs are the settings of the log.
func logSpecs() param.Specs {
	return param.Specs{
		{Name: "log_debug", Type: param.TypeBool, Default: false, Description: "Keep debugging lines"},
		{Name: "log_info", Type: param.TypeBool, Default: false, Description: "Keep informational lines"},
		{Name: "log_notice", Type: param.TypeBool, Default: true, Description: "Keep notices"},
		{Name: "log_warning", Type: param.TypeBool, Default: true, Description: "Keep warnings"},
		{Name: "log_throttling", Type: param.TypeThrottling, Default: map[string]any{"count": 10, "suppress": 10000, "window": 1000}},
		{Name: "maxlog", Type: param.TypeBool, Default: true},
		{Name: "ms_timestamp", Type: param.TypeBool, Default: false},
		{Name: "syslog", Type: param.TypeBool, Default: false},
	}
}

// fixedSpecs are settings that are what they are as long as the program runs.
func fixedSpecs() (specs param.Specs) {
	for _, name := range []string{"admin_auth", "admin_enabled", "load_persisted_configs", "persist_runtime_changes"} {
		specs = append(specs, param.Spec{Name: name, Type: param.TypeBool, Default: true, Fixed: true})
	}
	for _, name := range []string{"admin_gui", "admin_secure_gui", "log_warn_super_user", "auto_tune"} {
		specs = append(specs, param.Spec{Name: name, Type: param.TypeBool, Default: false, Fixed: true})
	}
	texts := []string{
		"admin_host", "admin_jwt_algorithm", "admin_jwt_issuer", "admin_readonly_hosts", "admin_readwrite_hosts", "admin_ssl_ca", "admin_ssl_version",
		"cachedir", "connector_plugindir", "datadir", "debug", "execdir", "language", "libdir", "logdir", "module_configdir", "persistdir", "piddir", "sharedir",
	}
	for _, name := range texts {
		specs = append(specs, param.Spec{Name: name, Type: param.TypeString, Fixed: true})
	}
	return append(specs, param.Specs{
		{Name: "admin_jwt_key", Type: param.TypePassword, Fixed: true}, {Name: "admin_port", Type: param.TypeCount, Fixed: true},
		{Name: "max_read_amount", Type: param.TypeSize, Default: int64(0), Fixed: true},
		{Name: "sql_mode", Type: param.TypeEnum, Enum: []string{"default", "oracle"}, Default: "default", Fixed: true},
		{Name: "threads_max", Type: param.TypeCount, Default: int64(256), Fixed: true},
	}...)
}

// GetProgram implements the RPC.
func (p *Proxy) GetProgram(ctx context.Context, _ *proxyv1.GetProgramRequest) (*proxyv1.ProgramDocument, error) {
	e, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	params, err := structOf(e.program.set.Report())
	if err != nil {
		return nil, err
	}
	system, err := structOf(map[string]any{
		"machine":  map[string]any{"cores_physical": runtime.NumCPU(), "cores_available": min(runtime.NumCPU(), runtime.GOMAXPROCS(0))},
		"maxscale": map[string]any{"threads": e.program.set.Int("threads")},
		"os":       map[string]any{"sysname": runtime.GOOS, "machine": runtime.GOARCH},
	})
	if err != nil {
		return nil, err
	}
	l := linksOf(ctx)
	return &proxyv1.ProgramDocument{Links: self(l.collection(program)), Data: &proxyv1.Program{
		Id: program, Type: program, Relationships: &proxyv1.Relationships{}, Links: self(l.collection(program)),
		Attributes: &proxyv1.ProgramAttributes{
			Parameters: params, Version: p.Version, Commit: commit(), StartedAt: date(p.started), ActivatedAt: date(p.started),
			Uptime: int64(time.Since(p.started).Seconds()), ProcessDatadir: p.Dir, System: system,
		},
	}}, p.tell(ctx, e.program.stamp())
}

// commit is what the program was built from, where the build has noted it.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

// UpdateProgram implements the RPC.
func (p *Proxy) UpdateProgram(ctx context.Context, req *proxyv1.UpdateProgramRequest) (*proxyv1.Changed, error) {
	return changed(p.change(ctx, "UpdateProgram", func(e *estate) error {
		o := e.program
		if err := p.held(ctx, o.stamp()); err != nil {
			return err
		}
		b, err := readChange(req.GetBody(), func() map[string]any { return p.present(e, o) })
		if err != nil {
			return err
		}
		for name, v := range b.parameters {
			if spec, ok := o.set.Specs().Find(name); ok && spec.Fixed {
				one, _ := param.ParseSome(o.set.Specs(), map[string]any{name: v})
				if !unchanged(o, spec, one, o.set.Report()) {
					return invalid("parameters."+name, "cannot be changed while the program runs")
				}
			}
		}
		if o.row == nil {
			e.added = append(e.added, o)
		} else {
			e.touch(o)
		}
		if err := e.merge(o, b.parameters); err != nil {
			return err
		}
		if _, err := dbproxy.TraceMatch(o.set); err != nil {
			return invalid("parameters.session_trace_match", "must be a regular expression of the syntax RE2")
		}
		return nil
	}))
}

// ListThreads implements the RPC.
func (p *Proxy) ListThreads(ctx context.Context, _ *proxyv1.ListRequest) (*proxyv1.ThreadCollection, error) {
	l := linksOf(ctx)
	out := &proxyv1.ThreadCollection{Links: self(l.collection("maxscale/threads"))}
	for n := range p.plane.Threads() {
		t, err := p.thread(l, n)
		if err != nil {
			return nil, err
		}
		out.Data = append(out.Data, t)
	}
	return out, nil
}

// GetThread implements the RPC.
func (p *Proxy) GetThread(ctx context.Context, req *proxyv1.NameRequest) (*proxyv1.ThreadDocument, error) {
	n, err := strconv.Atoi(req.GetName())
	if err != nil || n < 0 || n >= p.plane.Threads() {
		return nil, errs.New(errs.NotFound, "%s is not a thread", req.GetName())
	}
	t, err := p.thread(linksOf(ctx), n)
	return &proxyv1.ThreadDocument{Links: self(t.GetLinks().GetSelf()), Data: t}, err
}

// thread shows one of the threads. What they do is not counted apart: the
// first stands for all.
func (p *Proxy) thread(l linker, n int) (*proxyv1.Thread, error) {
	stats := map[string]any{
		"state": "Active", "listening": true, "hangups": 0, "errors": 0, "avg_event_queue_length": 0, "max_event_queue_length": 0,
		"max_exec_time": 0, "max_queue_time": 0, "zombies": 0, "blocking_polls": 0, "event_queue_length": 0,
		"load":                   map[string]any{"last_second": 0, "last_minute": 0, "last_hour": 0},
		"query_classifier_cache": map[string]any{"size": 0, "inserts": 0, "hits": 0, "misses": 0, "evictions": 0},
		"accepts":                0, "reads": 0, "writes": 0, "current_descriptors": 0, "total_descriptors": 0, "sessions": 0,
		"memory": map[string]any{"total": 0, "sessions": 0, "query_classifier": 0, "zombies": 0},
	}
	if n == 0 {
		var reads, writes uint64
		memory := 0
		all := p.plane.Sessions()
		for _, s := range all {
			info := s.Info()
			reads, writes = reads+info.Traffic.PacketsIn, writes+info.Traffic.PacketsOut
			memory += sessionMemory(info)
		}
		stats["sessions"], stats["reads"], stats["writes"], stats["current_descriptors"] = len(all), reads, writes, len(all)
		stats["memory"] = map[string]any{"total": memory, "sessions": memory, "query_classifier": 0, "zombies": 0}
	}
	s, err := structOf(stats)
	id := strconv.Itoa(n)
	return &proxyv1.Thread{
		Id: id, Type: "threads", Attributes: &proxyv1.ThreadAttributes{Stats: s}, Relationships: &proxyv1.Relationships{},
		Links: self(l.resource("maxscale/threads", id)),
	}, err
}

// ReloadTLS implements the RPC. Certificates are read again whenever their files
// change; those of listeners are read with the configuration.
func (p *Proxy) ReloadTLS(ctx context.Context, _ *proxyv1.ReloadTLSRequest) (*proxyv1.Changed, error) {
	if err := p.Users.EndSignedTokens(ctx, "ReloadTLS"); err != nil {
		return nil, err
	}
	return changed(p.refresh(ctx))
}

package mariadbmon

// Diagnostics is what the monitor tells of itself, as JSON.
func (m *Monitor) Diagnostics() map[string]any {
	shown := *m.shown.Load()
	out := make(map[string]any, len(shown)+1)
	for k, v := range shown {
		out[k] = v
	}
	out["state"] = "Idle"
	if what := m.busy.Load(); what != nil {
		out["state"] = *what
	}
	return out
}

// show renews what Diagnostics tells.
func (m *Monitor) show() {
	out := map[string]any{"master": nil, "master_gtid_domain_id": nil, "primary": nil}
	if m.master != none {
		out["master"] = m.servers[m.master].srv.Name()
	}
	if m.domainKnown {
		out["master_gtid_domain_id"] = m.domain
	}
	if m.coop.on {
		out["primary"] = m.coop.primary
	}
	list := make([]any, 0, len(m.servers))
	for _, w := range m.servers {
		list = append(list, w.describe())
	}
	out["server_info"] = list
	m.shown.Store(&out)
}

func (w *watched) describe() map[string]any {
	info := w.srv.Info()
	links := make([]any, 0, len(info.Replicas))
	for _, r := range info.Replicas {
		links = append(links, map[string]any{
			"connection_name": r.Name, "master_host": r.MasterHost, "master_port": r.MasterPort, "master_server_id": r.MasterServerID,
			"master_server_name": orNull(r.MasterName), "slave_io_running": r.IORunning, "slave_sql_running": r.SQLRunning,
			"seconds_behind_master": lagOrNull(r.SecondsBehind), "using_gtid": r.UsingGTID, "gtid_io_pos": r.GTIDIOPos,
			"last_io_error": r.LastIOError, "last_sql_error": r.LastSQLError,
		})
	}
	var lock, group any
	if info.LockHeld != nil {
		lock = *info.LockHeld
	}
	if info.MasterGroup > 0 {
		group = info.MasterGroup
	}
	return map[string]any{
		"name": w.srv.Name(), "server_id": info.ServerID, "read_only": info.ReadOnly, "gtid_current_pos": orNull(info.GTIDCurrent),
		"gtid_binlog_pos": orNull(info.GTIDBinlog), "lock_held": lock, "master_group": group, "state_details": orNull(info.StateDetails),
		"slave_connections": links,
	}
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func lagOrNull(seconds int64) any {
	if seconds < 0 {
		return nil
	}
	return seconds
}

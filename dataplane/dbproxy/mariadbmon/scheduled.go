package mariadbmon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// scheduledEvent is an event of MariaDB's scheduler.
type scheduledEvent struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
}

// eventRow is an event with what changing it would overwrite.
type eventRow struct {
	scheduledEvent
	definer, sqlMode, charset, collation string
	status                               string
}

func (w *watched) askEvents(ctx context.Context) ([]eventRow, error) {
	rows, err := w.query(ctx, "SELECT EVENT_SCHEMA, EVENT_NAME, DEFINER, SQL_MODE, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, STATUS FROM information_schema.EVENTS ORDER BY EVENT_SCHEMA, EVENT_NAME")
	if err != nil {
		return nil, err
	}
	var list []eventRow
	for _, r := range rows {
		list = append(list, eventRow{
			scheduledEvent{r["event_schema"], r["event_name"]},
			r["definer"], r["sql_mode"], r["character_set_client"], r["collation_connection"], r["status"],
		})
	}
	return list, nil
}

// rememberEvents keeps which events the master runs, for the time after it.
func (m *Monitor) rememberEvents(ctx context.Context) {
	if !m.settings.handleEvents || m.master == none {
		return
	}
	w := m.servers[m.master]
	if !w.obs.up || w.obs.readOnly {
		return
	}
	list, err := w.askEvents(ctx)
	if err != nil {
		return // what was known before still counts
	}
	w.events = nil
	for _, e := range list {
		if e.status == "ENABLED" {
			w.events = append(w.events, e.scheduledEvent)
		}
	}
}

// enableEvents runs on a new master what ran on the old one.
func (w *watched) enableEvents(ctx context.Context, wanted []scheduledEvent) error {
	if len(wanted) == 0 {
		return nil
	}
	return w.alterEvents(ctx, "ENABLE", func(e eventRow) bool {
		return e.status != "ENABLED" && slices.Contains(wanted, e.scheduledEvent)
	})
}

// disableEvents ends the events of a server that is no master any more.
func (w *watched) disableEvents(ctx context.Context) error {
	return w.alterEvents(ctx, "DISABLE ON SLAVE", func(e eventRow) bool { return e.status == "ENABLED" })
}

func (w *watched) alterEvents(ctx context.Context, to string, which func(eventRow) bool) error {
	var list []eventRow
	err := w.insist(ctx, func() (err error) {
		list, err = w.askEvents(ctx)
		return err
	})
	if err != nil {
		return err
	}
	for _, e := range list {
		if !which(e) {
			continue
		}
		if err := w.insist(ctx, func() error { return w.alterEvent(ctx, e, to) }); err != nil {
			return err
		}
	}
	return nil
}

// alterEvent changes an event in a session that is like the one it was made in,
// as an event takes over much of the session that changes it. It is not written
// to the binary log: an old master's may not have what the new one's has not, a
// new one would wait for replicas to acknowledge it, and replicas do not run
// events anyway.
func (w *watched) alterEvent(ctx context.Context, e eventRow, to string) error {
	i := strings.LastIndexByte(e.definer, '@')
	if i < 0 {
		return fmt.Errorf("event %s.%s has no definer", e.Schema, e.Name)
	}
	statements := []string{"SET NAMES " + quote(e.charset) + " COLLATE " + quote(e.collation), "SET SESSION sql_mode = " + quote(e.sqlMode), "SET SESSION sql_log_bin = 0"}
	// Names are quoted as they are in every sql_mode.
	statements = append(statements, fmt.Sprintf("ALTER DEFINER = %s@%s EVENT %s.%s %s",
		quoteName(e.definer[:i]), quoteName(e.definer[i+1:]), quoteName(e.Schema), quoteName(e.Name), to))
	var err error
	for _, statement := range statements {
		if err = w.exec(ctx, statement); err != nil {
			break
		}
	}
	for _, statement := range []string{"SET NAMES utf8mb4", "SET SESSION sql_mode = ''", "SET SESSION sql_log_bin = 1"} {
		if failed := w.exec(ctx, statement); failed != nil {
			w.close() // with the session goes what was set
			return errors.Join(err, failed)
		}
	}
	return err
}

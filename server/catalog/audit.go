package catalog

import (
	"encoding/json"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/schema"
	"github.com/backplane/backplane/server/store"
)

// auditOf is the audit record of a change of a service: what it was, what it
// is, with every secret masked.
func auditOf(action string, row *ent.Service, before, after schema.Snapshot) store.Audit {
	return store.Audit{
		Action: action, Kind: "service", ID: row.ID.String(), Name: row.Name, Project: row.Project,
		Changes: store.Changes(auditFields(before), auditFields(after)),
	}
}

// auditFields flattens a snapshot to field paths with JSON values.
func auditFields(s schema.Snapshot) map[string]string {
	out := map[string]string{}
	if s.Name == "" {
		return out // there was, or is, no service
	}
	put := func(path string, v any) {
		if text, err := json.Marshal(v); err == nil {
			out[path] = string(text)
		}
	}
	put("name", s.Name)
	put("enabled", s.Enabled)
	if s.Description != "" {
		put("description", s.Description)
	}
	if len(s.Tags) > 0 {
		put("tags", s.Tags)
	}
	for k, v := range s.Labels {
		put("labels."+k, v)
	}
	if s.CheckIntervalUs > 0 {
		put("check", map[string]any{
			"interval_us": s.CheckIntervalUs, "timeout_us": s.CheckTimeoutUs,
			"failures_before_critical": s.FailuresBeforeCritical, "successes_before_passing": s.SuccessesBeforePassing,
		})
	}
	for k, v := range s.Config {
		put("config."+k, v)
	}
	for k, sealed := range s.Sealed {
		// The sealed form differs when the secret does; Changes shows neither.
		out["config."+k] = store.SecretValue(sealed)
	}
	return out
}

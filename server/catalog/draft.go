package catalog

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/google/uuid"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/schema"
	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/store"
)

// secretMask stands for a stored secret in what a client sends back.
const secretMask = "********"

// draft is a service as it is about to be stored.
type draft struct {
	id       uuid.UUID
	project  string
	conn     connectors.Connector
	state    schema.Snapshot   // Config without secrets, Sealed as in the store
	secrets  map[string]string // the opened secrets
	damaged  map[string]bool   // secrets that cannot be opened and were not sent again
	config   connectors.Config // validated, with secrets and defaults
	retarget []string          // fields that aim at another server now
	before   map[string]any    // Config before the merge
	reading  *store.Audit      // to record before the secrets are used; may be nil
}

// newDraft begins a service.
func newDraft(conn connectors.Connector) *draft {
	return &draft{
		id: uuid.New(), conn: conn, secrets: map[string]string{},
		state: schema.Snapshot{Enabled: true, Config: map[string]any{}, Sealed: map[string][]byte{}},
	}
}

// draftOf begins a change of a stored service.
func (c *Catalog) draftOf(row *ent.Service) (*draft, error) {
	return c.draftFrom(row.ID, row.ServiceType, snapshotOf(row))
}

func (c *Catalog) draftFrom(id uuid.UUID, serviceType string, s schema.Snapshot) (*draft, error) {
	conn, err := c.connector(serviceType)
	if err != nil {
		return nil, fmt.Errorf("service %s: %w", id, err)
	}
	s.Config, s.Sealed = maps.Clone(s.Config), maps.Clone(s.Sealed)
	if s.Config == nil {
		s.Config = map[string]any{}
	}
	if s.Sealed == nil {
		s.Sealed = map[string][]byte{}
	}
	d := &draft{id: id, conn: conn, state: s, secrets: map[string]string{}, damaged: map[string]bool{}}
	for field, sealed := range s.Sealed {
		plain, err := c.Keys.Open(sealed, keys.ServicePlace(id, field))
		if err != nil {
			// Whoever sends it again mends the service; see validate.
			c.Log.Warn("secret cannot be opened", "service_id", id, "field", field, "error", err)
			d.damaged[field] = true
			continue
		}
		d.secrets[field] = string(plain)
	}
	return d, nil
}

func snapshotOf(row *ent.Service) schema.Snapshot {
	return schema.Snapshot{
		Name: row.Name, Config: row.Config, Sealed: row.Sealed, Enabled: row.Enabled,
		Description: row.Description, Tags: row.Tags, Labels: row.Labels,
		CheckIntervalUs: row.CheckIntervalUs, CheckTimeoutUs: row.CheckTimeoutUs,
		FailuresBeforeCritical: row.FailuresBeforeCritical, SuccessesBeforePassing: row.SuccessesBeforePassing,
	}
}

// apply lays the named fields of s over the draft and returns what is wrong
// with them. replace lets the configuration start empty.
func (d *draft) apply(s *catalogv1.Service, fields []string, replace bool) (faults []errs.Field) {
	for _, f := range fields {
		switch f {
		case "name":
			name, bad := checkName(s.GetName())
			faults = append(faults, bad...)
			d.state.Name = name
		case "enabled":
			d.state.Enabled = s.Enabled == nil || s.GetEnabled()
		case "description":
			faults = append(faults, checkDescription(s.GetDescription())...)
			d.state.Description = s.GetDescription()
		case "tags":
			faults = append(faults, checkTags(s.GetTags())...)
			d.state.Tags = nonEmpty(s.GetTags())
		case "labels":
			faults = append(faults, checkLabels(s.GetLabels())...)
			d.state.Labels = nil
			if len(s.GetLabels()) > 0 {
				d.state.Labels = maps.Clone(s.GetLabels())
			}
		case "check":
			faults = append(faults, checkCheck(s.GetCheck())...)
			c := s.GetCheck()
			d.state.CheckIntervalUs = c.GetInterval().AsDuration().Microseconds()
			d.state.CheckTimeoutUs = c.GetTimeout().AsDuration().Microseconds()
			d.state.FailuresBeforeCritical, d.state.SuccessesBeforePassing = 0, 0
			if c != nil {
				// As it is shown, so that what was read can be written back.
				d.state.FailuresBeforeCritical = max(c.GetFailuresBeforeCritical(), 1)
				d.state.SuccessesBeforePassing = max(c.GetSuccessesBeforePassing(), 1)
			}
		}
	}
	var patch map[string]any
	if slices.Contains(fields, "config") {
		patch = s.GetConfig().AsMap()
	} else {
		replace = false
	}
	return append(faults, d.merge(patch, replace)...)
}

func nonEmpty(tags []string) []string {
	if len(tags) == 0 {
		return nil
	}
	return slices.Clone(tags)
}

// merge lays patch over the configuration, one level deep.
func (d *draft) merge(patch map[string]any, replace bool) (faults []errs.Field) {
	if size, _ := json.Marshal(patch); len(size) > maxConfigSize {
		return []errs.Field{{Path: "config", Message: "must be at most 64 KiB"}}
	}
	spec := d.conn.Spec()
	before := maps.Clone(d.state.Config)
	d.before = before
	if replace {
		for key := range d.state.Config {
			if _, stays := patch[key]; !stays {
				delete(d.state.Config, key)
			}
		}
		gone := func(key string) bool { _, stays := patch[key]; return !stays }
		maps.DeleteFunc(d.secrets, func(key, _ string) bool { return gone(key) })
		maps.DeleteFunc(d.damaged, func(key string, _ bool) bool { return gone(key) })
	}
	for key, value := range patch {
		f, known := spec.Field(key)
		switch {
		case known && f.Sealed():
			faults = append(faults, d.mergeSecret(f, value)...)
		case value == nil:
			delete(d.state.Config, key)
		default:
			d.state.Config[key] = value
		}
	}
	d.retarget = targetChanges(spec, before, d.state.Config)
	return faults
}

// mergeSecret keeps a secret that comes back masked, removes an empty one, and
// leaves anything else to validation. A mask of nothing is no secret.
func (d *draft) mergeSecret(f connectors.Field, value any) []errs.Field {
	old, had := d.secrets[f.Name]
	text, isText := value.(string)
	if d.damaged[f.Name] {
		if isText && text != "" && (text == secretMask || d.state.Config[f.Name] == value) {
			return nil // as it was shown: it stays damaged
		}
		delete(d.damaged, f.Name)
	}
	switch {
	case isText && had && (text == secretMask || f.Mask != nil && text == f.Mask(old)):
	case isText && text == secretMask:
		return []errs.Field{{Path: "config." + f.Name, Message: "is the mask of a secret, but none is stored: send the secret itself"}}
	case value == nil, isText && text == "":
		delete(d.secrets, f.Name)
		delete(d.state.Config, f.Name)
	case isText:
		d.secrets[f.Name] = text
		delete(d.state.Config, f.Name)
	default:
		// Of the wrong type: validation sees it and says so.
		delete(d.secrets, f.Name)
		d.state.Config[f.Name] = value
	}
	return nil
}

// raw is the configuration as a client would have sent it, secrets included.
func (d *draft) raw() map[string]any {
	raw := maps.Clone(d.state.Config)
	for k, v := range d.secrets {
		raw[k] = v
	}
	return raw
}

// validate checks the configuration as a whole. It has no more to say of one
// whose secrets are not all known.
func (d *draft) validate(env connectors.Env) []errs.Field {
	if len(d.damaged) > 0 {
		var faults []errs.Field
		for _, field := range slices.Sorted(maps.Keys(d.damaged)) {
			faults = append(faults, errs.Field{Path: "config." + field, Message: "must be sent again: its stored value is damaged"})
		}
		return faults
	}
	config, bad := d.conn.Spec().Validate(d.raw(), env)
	faults := make([]errs.Field, len(bad))
	for i, f := range bad {
		faults[i] = errs.Field{Path: "config", Message: f.Message}
		if f.Field != "" {
			faults[i].Path += "." + f.Field
		}
	}
	d.config = config
	return faults
}

// seal brings the sealed values up to date. A secret that did not change keeps
// its sealed form, so that equal drafts stay equal. So does a configuration
// that differs only in defaults that are written out, as in what was read and
// is written back.
func (d *draft) seal(ring *keys.Keys) {
	spec := d.conn.Spec()
	sealed := make(map[string][]byte, len(d.secrets))
	for field, plain := range d.secrets {
		place := keys.ServicePlace(d.id, field)
		if old, ok := d.state.Sealed[field]; ok {
			if was, err := ring.Open(old, place); err == nil && string(was) == plain {
				sealed[field] = old
			}
		}
		if sealed[field] == nil {
			sealed[field] = ring.Seal([]byte(plain), place)
		}
		if f, _ := spec.Field(field); f.Mask != nil {
			d.state.Config[field] = f.Mask(plain)
		}
	}
	d.state.Sealed = sealed
	if d.before != nil && reflect.DeepEqual(spec.WithDefaults(d.before), spec.WithDefaults(d.state.Config)) {
		d.state.Config = d.before
	}
}

// freshen seals anew what is sealed under an older key. It comes after the
// comparison with the stored state, for which that makes no difference.
func (d *draft) freshen(ring *keys.Keys) error {
	for field, sealed := range d.state.Sealed {
		fresh, err := ring.Fresh(sealed, keys.ServicePlace(d.id, field))
		if err != nil {
			return fmt.Errorf("service %s: secret %q: %w", d.id, field, err)
		}
		d.state.Sealed[field] = fresh
	}
	return nil
}

// sealedValues are what a write of the draft must be guarded for.
func (d *draft) sealedValues() [][]byte { return slices.Collect(maps.Values(d.state.Sealed)) }

// same reports whether two snapshots say the same, as they would be stored.
func same(a, b schema.Snapshot) bool {
	norm := func(s schema.Snapshot) (out any) {
		text, err := json.Marshal(s)
		if err != nil {
			return s
		}
		if err := json.Unmarshal(text, &out); err != nil {
			return s
		}
		return out
	}
	return reflect.DeepEqual(norm(a), norm(b))
}

// targetFields decide which server the secrets are sent to.
var targetFields = []string{
	"host", "port", "endpoint", "servers", "uri", "protocol", "path_style",
	"tls_skip_verify", "tls_ca", "tls_server_name", "use_tls", "use_ssl", "ssl_mode", "encryption", "tls_mode",
	"host_key", "host_key_policy",
}

func targetChanges(spec connectors.Spec, before, after map[string]any) []string {
	b, a := spec.WithDefaults(before), spec.WithDefaults(after)
	var changed []string
	for _, f := range targetFields {
		if !reflect.DeepEqual(b[f], a[f]) {
			changed = append(changed, f)
		}
	}
	return changed
}

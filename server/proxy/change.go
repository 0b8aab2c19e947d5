package proxy

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/schema"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/store"
)

// change makes a change of the estate: edit does it, and notes with add, touch
// and remove what it concerns. Rules are checked, the rows written, the change
// recorded and the data plane configured, all of it or nothing.
func (p *Proxy) change(ctx context.Context, action string, edit func(*estate) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	applied := false
	var err error
	for range 3 {
		err = p.changeOnce(ctx, action, edit, &applied)
		if !errors.Is(err, keys.ErrRetired) {
			break
		}
	}
	if err != nil && applied {
		// The data plane has what the store has not.
		if again := p.applyStored(context.WithoutCancel(ctx)); again != nil {
			p.Log.ErrorContext(ctx, "configure the database proxy", "error", again)
		}
	}
	return err
}

func (p *Proxy) changeOnce(ctx context.Context, action string, edit func(*estate) error, applied *bool) error {
	defer p.Keys.Writing()()
	return p.Store.Change(ctx, func(tx *store.Tx) error {
		if err := tx.TakeTurn(ctx); err != nil {
			return err
		}
		e, err := p.load(ctx, tx.Client(), p.Keys)
		if err != nil {
			return err
		}
		if err := edit(e); err != nil {
			return err
		}
		if len(e.added)+len(e.touched)+len(e.removed) == 0 {
			return nil
		}
		if err := p.check(ctx, e); err != nil {
			return err
		}
		sealed, err := p.save(ctx, tx, e, action)
		if err != nil {
			return err
		}
		tx.Emit(store.Event{Kind: store.ProxyEvent, Payload: []byte{}})
		*applied = true
		if err := p.apply(ctx, e); err != nil {
			return err
		}
		return p.Keys.Guard(ctx, tx, sealed...)
	})
}

// save writes what a change concerns, and returns the sealed values among it.
func (p *Proxy) save(ctx context.Context, tx *store.Tx, e *estate, action string) (sealed [][]byte, err error) {
	now := time.Now().UnixMicro()
	for _, o := range e.removed {
		if err := tx.ProxyObject.DeleteOneID(o.id).Exec(ctx); err != nil {
			return nil, err
		}
		tx.Audit(p.auditOf(action, o, auditFields(o.row), nil))
	}
	for _, o := range slices.Concat(e.added, e.touched) {
		plain, values, err := p.seal(o)
		if err != nil {
			return nil, err
		}
		sealed = append(sealed, slices.Collect(maps.Values(values))...)
		row, err := p.write(ctx, tx, o, plain, values, now)
		if err != nil {
			return nil, err
		}
		tx.Audit(p.auditOf(action, o, auditFields(o.row), auditFields(row)))
		o.row, o.version, o.changed = row, row.Version, row.ChangedAt
	}
	for _, name := range slices.Sorted(maps.Keys(e.moved)) {
		if err := e.count(ctx, tx, name, now); err != nil {
			return nil, err
		}
	}
	return sealed, nil
}

func (p *Proxy) write(ctx context.Context, tx *store.Tx, o *object, plain map[string]any, sealed map[string][]byte, now int64) (*ent.ProxyObject, error) {
	if o.row == nil {
		row, err := tx.ProxyObject.Create().SetID(o.id).SetKind(o.plural).SetName(o.name).SetNameKey(o.key(o.name)).SetModule(o.module).
			SetParameters(plain).SetSealed(sealed).SetLinks(o.links).SetStates(o.states).SetStopped(o.stopped).SetVersion(o.version).
			SetCreatedAt(now).SetChangedAt(now).Save(ctx)
		if ent.IsConstraintError(err) {
			return nil, taken(o)
		}
		return row, err
	}
	// Processes whose clocks differ do not go back in time.
	return tx.ProxyObject.UpdateOneID(o.id).SetParameters(plain).SetSealed(sealed).SetLinks(o.links).SetStates(o.states).SetStopped(o.stopped).
		SetVersion(o.row.Version + 1).SetChangedAt(max(now, o.row.ChangedAt)).Save(ctx)
}

func taken(o *object) error {
	return errs.New(errs.NameTaken, "There is a %s named %s already", o.singular, o.name)
}

// count moves the version of a collection on.
func (e *estate) count(ctx context.Context, tx *store.Tx, name string, now int64) error {
	row := e.counters[name]
	if row == nil {
		return tx.ProxyObject.Create().SetKind(counters).SetName(name).SetNameKey(name).SetParameters(map[string]any{}).
			SetSealed(map[string][]byte{}).SetLinks(map[string][]string{}).SetVersion(1).SetCreatedAt(now).SetChangedAt(now).Exec(ctx)
	}
	return tx.ProxyObject.UpdateOne(row).SetVersion(row.Version + 1).SetChangedAt(max(now, row.ChangedAt)).Exec(ctx)
}

// seal parts the parameters of an object into those that are stored as they
// are and those that are sealed. What did not change keeps its sealed form.
func (p *Proxy) seal(o *object) (plain map[string]any, sealed map[string][]byte, err error) {
	plain, sealed = o.set.Plain(), map[string][]byte{}
	secrets := map[string]string{}
	if previous := o.secrets[previousPassword]; previous != "" {
		secrets[previousPassword] = previous
	}
	for _, name := range o.set.Specs().Secrets() {
		delete(plain, name)
		if value := o.set.String(name); value != "" {
			secrets[name] = value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		place := keys.ProxyPlace(o.id, name)
		if o.row != nil && o.row.Sealed[name] != nil {
			if was, err := p.Keys.Open(o.row.Sealed[name], place); err == nil && string(was) == secrets[name] {
				if sealed[name], err = p.Keys.Fresh(o.row.Sealed[name], place); err != nil {
					return nil, nil, fmt.Errorf("%s %s: %s: %w", o.singular, o.name, name, err)
				}
				continue
			}
		}
		sealed[name] = p.Keys.Seal([]byte(secrets[name]), place)
	}
	return plain, sealed, nil
}

// auditOf is the record of a change of an object.
func (p *Proxy) auditOf(action string, o *object, before, after map[string]string) store.Audit {
	return store.Audit{Action: action, Kind: "proxy_" + o.singular, ID: o.name, Name: o.name, Changes: changesOf(before, after)}
}

func changesOf(before, after map[string]string) []schema.AuditChange {
	return store.Changes(before, after)
}

// auditFields are what the audit trail compares of an object.
func auditFields(row *ent.ProxyObject) map[string]string {
	if row == nil {
		return nil
	}
	out := map[string]string{}
	put := func(path string, v any) {
		if text, err := json.Marshal(v); err == nil {
			out[path] = string(text)
		}
	}
	put("name", row.Name)
	if row.Module != "" {
		put("module", row.Module)
	}
	for name, v := range row.Parameters {
		put("parameters."+name, v)
	}
	for name, sealed := range row.Sealed {
		out["parameters."+name] = store.SecretValue(sealed)
	}
	for relation, names := range row.Links {
		if len(names) > 0 {
			put("relationships."+relation, names)
		}
	}
	if len(row.States) > 0 {
		put("states", row.States)
	}
	put("stopped", row.Stopped)
	return out
}

// stamp is the version of an object or of a collection, and when it changed.
type stamp struct {
	version uint32
	changed int64
}

func (o *object) stamp() stamp { return stamp{o.version, o.changed} }

func (e *estate) stampOf(collection string) stamp {
	if row := e.counters[collection]; row != nil {
		return stamp{row.Version, row.ChangedAt}
	}
	return stamp{}
}

func (s stamp) etag() string { return `"` + strconv.FormatUint(uint64(s.version), 10) + `"` }

// modified is when it changed, or when the program started where it never has.
func (s stamp) modified(p *Proxy) time.Time {
	if s.changed == 0 {
		return p.started
	}
	return time.UnixMicro(s.changed)
}

// tell sends the version along with an answer.
func (p *Proxy) tell(ctx context.Context, s stamp) error {
	if grpc.ServerTransportStreamFromContext(ctx) == nil {
		return nil // called within the program
	}
	return grpc.SetHeader(ctx, metadata.Pairs("etag", s.etag(), "last-modified", s.modified(p).UTC().Format(http.TimeFormat)))
}

// held checks the conditions of a change (RFC 9110, section 13.1).
func (p *Proxy) held(ctx context.Context, s stamp) error {
	failed := errs.New(errs.VersionMismatch, "This has changed in between; get it again and repeat the change")
	if v := metadata.ValueFromIncomingContext(ctx, "if-match"); len(v) > 0 && cmp.Or(v...) != "" {
		for tag := range strings.SplitSeq(strings.Join(v, ","), ",") {
			if tag = strings.TrimSpace(tag); tag == "*" || tag == s.etag() {
				return nil
			}
		}
		return failed
	}
	if v := metadata.ValueFromIncomingContext(ctx, "if-unmodified-since"); len(v) > 0 {
		if at, err := http.ParseTime(v[0]); err == nil && s.modified(p).Truncate(time.Second).After(at) {
			return failed
		}
	}
	return nil
}

// read is the estate for an answer, without passwords.
func (p *Proxy) read(ctx context.Context) (*estate, error) { return p.load(ctx, p.Store.Client, nil) }

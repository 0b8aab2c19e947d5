package keys

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/credential"
	"github.com/backplane/backplane/ent/proxyobject"
	"github.com/backplane/backplane/ent/service"
	"github.com/backplane/backplane/ent/serviceversion"
	"github.com/backplane/backplane/ent/setting"
	"github.com/backplane/backplane/server/store"
)

// JWTKey is the setting that holds the key of short-lived tokens, sealed at
// SettingPlace(JWTKey).
const JWTKey = "jwt_key"

// GatewayKey is the setting that holds the key under which secrets of the
// gateway are hashed to be found, sealed at SettingPlace(GatewayKey).
const GatewayKey = "gateway_key"

// All is everything in the store that holds sealed values.
func All() []Sealed {
	return []Sealed{services{}, versions{}, credentials{}, backups{}, proxyObjects{}, gatewayObjects{}, settings{JWTKey, TrailKey, GatewayKey}}
}

// ServicePlace is where a secret of a service, and of its versions, is kept.
func ServicePlace(id uuid.UUID, field string) string { return "service/" + id.String() + "/" + field }

// CredentialPlace is where the passwords of a database's login are kept: the one
// in force and the one that is about to be.
func CredentialPlace(id int) string { return "credential/" + strconv.Itoa(id) }

// ProxyPlace is where a password of an object of the proxy is kept.
func ProxyPlace(id uuid.UUID, field string) string { return "proxy/" + id.String() + "/" + field }

// SettingPlace is where a sealed setting is kept.
func SettingPlace(id string) string { return "setting/" + id }

// fieldValues lists a service's sealed values; with restore goes the way back.
func fieldValues(id uuid.UUID, sealed map[string][]byte) (values []Value, restore func([][]byte) map[string][]byte) {
	fields := slices.Sorted(maps.Keys(sealed))
	for _, f := range fields {
		values = append(values, Value{Place: ServicePlace(id, f), Sealed: sealed[f]})
	}
	return values, func(fresh [][]byte) map[string][]byte {
		out := make(map[string][]byte, len(fields))
		for i, f := range fields {
			out[f] = fresh[i]
		}
		return out
	}
}

// services are the services as they are now.
type services struct{}

func (services) Rows(ctx context.Context, c *ent.Client, after string, limit int) ([]Row, error) {
	q := c.Service.Query()
	if after != "" {
		id, err := uuid.Parse(after)
		if err != nil {
			return nil, err
		}
		q.Where(service.IDGT(id))
	}
	found, err := q.Order(service.ByID()).Limit(limit).Select(service.FieldID, service.FieldVersion, service.FieldSealed).All(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]Row, len(found))
	for i, s := range found {
		values, restore := fieldValues(s.ID, s.Sealed)
		rows[i] = Row{
			Cursor: s.ID.String(), Values: values,
			// Whoever changes the secrets of a service moves its version on.
			Replace: func(ctx context.Context, tx *store.Tx, fresh [][]byte) (bool, error) {
				n, err := tx.Service.Update().Where(service.ID(s.ID), service.Version(s.Version)).SetSealed(restore(fresh)).Save(ctx)
				return n == 1, err
			},
		}
	}
	return rows, nil
}

// versions are the kept versions of services.
type versions struct{}

func (versions) Rows(ctx context.Context, c *ent.Client, after string, limit int) ([]Row, error) {
	q := c.ServiceVersion.Query()
	if after != "" {
		id, err := strconv.Atoi(after)
		if err != nil {
			return nil, err
		}
		q.Where(serviceversion.IDGT(id))
	}
	found, err := q.Order(serviceversion.ByID()).Limit(limit).Select(serviceversion.FieldID, serviceversion.FieldServiceID, serviceversion.FieldSnapshot).All(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]Row, len(found))
	for i, v := range found {
		values, restore := fieldValues(v.ServiceID, v.Snapshot.Sealed)
		rows[i] = Row{
			Cursor: strconv.Itoa(v.ID), Values: values,
			// A version never changes otherwise, and is immutable to ent.
			Replace: func(ctx context.Context, tx *store.Tx, fresh [][]byte) (bool, error) {
				next := v.Snapshot
				next.Sealed = restore(fresh)
				text, err := json.Marshal(next)
				if err != nil {
					return false, err
				}
				n, err := tx.ServiceVersion.Update().Where(serviceversion.ID(v.ID)).
					Modify(func(u *sql.UpdateBuilder) { u.Set(serviceversion.FieldSnapshot, json.RawMessage(text)) }).Save(ctx)
				return n == 1, err
			},
		}
	}
	return rows, nil
}

// credentials are the logins of databases.
type credentials struct{}

func (credentials) Rows(ctx context.Context, c *ent.Client, after string, limit int) ([]Row, error) {
	q := c.Credential.Query()
	if after != "" {
		id, err := strconv.Atoi(after)
		if err != nil {
			return nil, err
		}
		q.Where(credential.IDGT(id))
	}
	found, err := q.Order(credential.ByID()).Limit(limit).
		Select(credential.FieldID, credential.FieldVersion, credential.FieldSealed, credential.FieldPending).All(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]Row, len(found))
	for i, cred := range found {
		place := CredentialPlace(cred.ID)
		values := []Value{{Place: place, Sealed: cred.Sealed}}
		if cred.Pending != nil {
			values = append(values, Value{Place: place, Sealed: cred.Pending})
		}
		rows[i] = Row{
			Cursor: strconv.Itoa(cred.ID), Values: values,
			// Whoever changes either password moves the version on.
			Replace: func(ctx context.Context, tx *store.Tx, fresh [][]byte) (bool, error) {
				u := tx.Credential.Update().Where(credential.ID(cred.ID), credential.Version(cred.Version)).SetSealed(fresh[0])
				if len(fresh) > 1 {
					u.SetPending(fresh[1])
				}
				n, err := u.Save(ctx)
				return n == 1, err
			},
		}
	}
	return rows, nil
}

// proxyObjects are what the proxy is configured with.
type proxyObjects struct{}

func (proxyObjects) Rows(ctx context.Context, c *ent.Client, after string, limit int) ([]Row, error) {
	q := c.ProxyObject.Query()
	if after != "" {
		id, err := uuid.Parse(after)
		if err != nil {
			return nil, err
		}
		q.Where(proxyobject.IDGT(id))
	}
	found, err := q.Order(proxyobject.ByID()).Limit(limit).
		Select(proxyobject.FieldID, proxyobject.FieldVersion, proxyobject.FieldSealed).All(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]Row, len(found))
	for i, o := range found {
		fields := slices.Sorted(maps.Keys(o.Sealed))
		values := make([]Value, len(fields))
		for n, f := range fields {
			values[n] = Value{Place: ProxyPlace(o.ID, f), Sealed: o.Sealed[f]}
		}
		rows[i] = Row{
			Cursor: o.ID.String(), Values: values,
			// Whoever changes an object moves its version on.
			Replace: func(ctx context.Context, tx *store.Tx, fresh [][]byte) (bool, error) {
				sealed := make(map[string][]byte, len(fields))
				for n, f := range fields {
					sealed[f] = fresh[n]
				}
				n, err := tx.ProxyObject.Update().Where(proxyobject.ID(o.ID), proxyobject.Version(o.Version)).SetSealed(sealed).Save(ctx)
				return n == 1, err
			},
		}
	}
	return rows, nil
}

// settings are the named settings, each of which is one sealed value.
type settings []string

func (ids settings) Rows(ctx context.Context, c *ent.Client, after string, limit int) ([]Row, error) {
	found, err := c.Setting.Query().Where(setting.IDIn(ids...), setting.IDGT(after)).Order(setting.ByID()).Limit(limit).All(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]Row, len(found))
	for i, s := range found {
		rows[i] = Row{
			Cursor: s.ID, Values: []Value{{Place: SettingPlace(s.ID), Sealed: s.Value}},
			Replace: func(ctx context.Context, tx *store.Tx, fresh [][]byte) (bool, error) {
				n, err := tx.Setting.Update().Where(setting.ID(s.ID), setting.Value(s.Value)).SetValue(fresh[0]).Save(ctx)
				return n == 1, err
			},
		}
	}
	return rows, nil
}

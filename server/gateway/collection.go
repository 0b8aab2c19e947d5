package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
	"github.com/backplane/backplane/ent/gatewayobject"
)

// The collections.
const (
	services       = "services"
	routes         = "routes"
	certificates   = "certificates"
	snis           = "snis"
	caCertificates = "ca_certificates"
	upstreams      = "upstreams"
	targets        = "targets"
	consumers      = "consumers"
	plugins        = "plugins"
	keyAuths       = string(entity.KeyAuth)
	basicAuths     = string(entity.BasicAuth)
	jwts           = string(entity.JWT)
	acls           = string(entity.ACL)
)

// selectorOf is the name by which requests name an entity of a collection as
// what others belong to.
func selectorOf(c *entity.Collection) string { return strings.ReplaceAll(c.Singular, "-", "_") }

// bySelector finds the collection of a selector, nil if there is none.
func bySelector(selector string) *entity.Collection {
	for _, c := range entity.Collections() {
		if selectorOf(c) == selector {
			return c
		}
	}
	return nil
}

// foreignTo is the field by which entities of a collection refer to those of
// another, if they do.
func foreignTo(c *entity.Collection, to string) (entity.ForeignKey, bool) {
	for _, f := range c.Foreign {
		if f.Collection == to {
			return f, true
		}
	}
	return entity.ForeignKey{}, false
}

// column is where the id is stored that an entity refers to.
func column(collection string) string {
	switch collection {
	case services:
		return gatewayobject.FieldServiceID
	case routes:
		return gatewayobject.FieldRouteID
	case consumers:
		return gatewayobject.FieldConsumerID
	case upstreams:
		return gatewayobject.FieldUpstreamID
	default:
		return gatewayobject.FieldCertificateID
	}
}

// secretsOf are the paths of the secrets in documents of a collection, sorted.
func secretsOf(c *entity.Collection) []string {
	var out []string
	var walk func(prefix string, fields []schema.Field)
	walk = func(prefix string, fields []schema.Field) {
		for i := range fields {
			f := &fields[i]
			switch {
			case f.Hidden, f.Elements != nil && f.Elements.Hidden, f.Values != nil && f.Values.Hidden:
				out = append(out, prefix+f.Name)
			case f.Type == schema.RecordT:
				walk(prefix+f.Name+".", f.Fields)
			}
		}
	}
	walk("", c.Record.Fields)
	slices.Sort(out)
	return out
}

// longest is how long a value may be to stand for itself in an index.
const longest = 200

// indexed is a value as indexes have it: itself, or a hash of one that is long,
// that looks like a hash, or that a store takes for another.
func indexed(value string) string {
	if len(value) <= longest && !strings.HasPrefix(value, "sha256:") && !strings.HasPrefix(value, "hmac:") && !strings.HasSuffix(value, " ") && !strings.ContainsRune(value, 0) {
		return value
	}
	sum := sha256.Sum256([]byte(value))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// uniqueKey is what stands in an index for values that only one entity may
// have; nil when it does not count.
func (g *Gateway) uniqueKey(c *entity.Collection, u entity.Unique, doc map[string]any) *string {
	values := make([]any, len(u.Fields))
	for i, field := range u.Fields {
		if values[i] = doc[field]; values[i] == nil && !u.Nulls {
			return nil
		}
		if id := reference(doc, field); id != "" {
			values[i] = id
		}
	}
	var key string
	if len(values) == 1 {
		value, ok := values[0].(string)
		if !ok {
			return nil
		}
		if f := c.Record.Field(u.Fields[0]); f != nil && f.Hidden {
			key = g.hashed(c.Name, value)
		} else {
			key = indexed(value)
		}
		return &key
	}
	joined, err := json.Marshal(values)
	if err != nil {
		return nil // strings and nulls always encode
	}
	sum := sha256.Sum256(joined)
	key = "sha256:" + hex.EncodeToString(sum[:])
	return &key
}

// hashed is a secret as indexes have it: who reads the store does not learn it.
func (g *Gateway) hashed(collection, value string) string {
	mac := hmac.New(sha256.New, g.HashKey)
	mac.Write([]byte(collection + "\x00" + value)) //nolint:errcheck // a hash never fails
	return "hmac:" + hex.EncodeToString(mac.Sum(nil))
}

// ofName tells whether values are what paths name an entity by.
func ofName(c *entity.Collection, u entity.Unique) bool {
	return c.Key != "" && slices.Contains(u.Fields, c.Key)
}

// isID reads an id as paths and documents have it.
func isID(text string) (uuid.UUID, bool) {
	if len(text) != 36 {
		return uuid.UUID{}, false
	}
	id, err := uuid.Parse(text)
	return id, err == nil
}

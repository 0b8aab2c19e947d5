package entity

import (
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"

	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

var consumers = &Collection{
	Name:     "consumers",
	Singular: "consumer",
	Key:      "username",
	Unique:   []Unique{{Fields: []string{"username"}}, {Fields: []string{"custom_id"}}},
	Record: &schema.Record{
		Name: "consumers",
		Fields: append(times(),
			schema.Field{Name: "username", Type: schema.String, Unique: true},
			schema.Field{Name: "custom_id", Type: schema.String, Unique: true},
			schema.Tags(),
		),
		Checks: []schema.Check{schema.AtLeastOneOf("custom_id", "username")},
	},
}

// credential is the collection of a kind of credentials.
func credential(c Collection, fields ...schema.Field) *Collection {
	c.Foreign = []ForeignKey{{Field: "consumer", Collection: "consumers", Cascade: true}}
	c.Record.Name = c.SchemaName()
	c.Record.Fields = append([]schema.Field{
		schema.ID(), schema.Time("created_at"), reference("consumer", "consumers", true),
	}, append(fields, schema.Tags())...)
	return &c
}

var keyAuths = credential(
	Collection{
		Name: string(KeyAuth), Singular: "key-auth", Nested: "key-auth", Schema: "keyauth_credentials", Key: "key",
		Unique: []Unique{{Fields: []string{"key"}}}, random: []string{"key"}, Record: &schema.Record{},
	},
	schema.Field{Name: "key", Type: schema.String, Auto: true, Unique: true, Hidden: true},
	schema.Int("ttl", 0, 100000000, nil),
)

var basicAuths = credential(
	Collection{
		Name: string(BasicAuth), Singular: "basic-auth", Nested: "basic-auth", Schema: "basicauth_credentials", Key: "username",
		Unique: []Unique{{Fields: []string{"username"}}}, derive: hashPassword, Record: &schema.Record{},
	},
	schema.Field{Name: "username", Type: schema.String, Required: true, Unique: true},
	schema.Field{Name: "password", Type: schema.String, Required: true, Hidden: true},
)

// hashPassword hashes a password that was sent. It cannot be hashed again for
// another consumer without being sent.
func hashPassword(doc, was, change map[string]any) *schema.Violations {
	consumer, _ := schema.Get(doc, "consumer.id").(string)
	if was != nil {
		if _, sent := change["password"]; !sent {
			if consumer != schema.Get(was, "consumer.id") {
				return schema.Violation("", "all or none of these fields must be set: 'password', 'consumer.id'")
			}
			return nil
		}
	}
	password, _ := doc["password"].(string)
	doc["password"] = HashPassword(password, consumer)
	return nil
}

// HashPassword is a password as basic-auths have it: SHA-1 in hexadecimal of
// the password followed by the consumer's ID.
func HashPassword(password, consumer string) string {
	sum := sha1.Sum([]byte(password + consumer))
	return hex.EncodeToString(sum[:])
}

var jwts = credential(
	Collection{
		Name: string(JWT), Singular: "jwt", Nested: "jwt", Schema: "jwt_secrets", Key: "key",
		Unique: []Unique{{Fields: []string{"key"}}}, random: []string{"key", "secret"},
		Record: &schema.Record{Checks: []schema.Check{schema.When("algorithm",
			schema.Match{OneOf: []any{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"}},
			"rsa_public_key", schema.Field{Required: true})}},
	},
	schema.Field{Name: "key", Type: schema.String, Auto: true, Unique: true},
	schema.Field{Name: "secret", Type: schema.String, Auto: true, Hidden: true},
	schema.Field{Name: "rsa_public_key", Type: schema.String, Check: schema.Text(publicKeyPEM)},
	schema.Choice("algorithm", "HS256", "HS256", "HS384", "HS512", "RS256", "RS384", "RS512",
		"ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"),
)

func publicKeyPEM(s string) error {
	block, _ := pem.Decode([]byte(s))
	if block == nil {
		return errors.New("invalid key")
	}
	if _, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
		return nil
	}
	if _, err := x509.ParsePKCS1PublicKey(block.Bytes); err == nil {
		return nil
	}
	if _, err := x509.ParseCertificate(block.Bytes); err == nil {
		return nil
	}
	return errors.New("invalid key")
}

var acls = credential(
	Collection{
		Name: string(ACL), Singular: "acl", Nested: "acls", Key: "group",
		Unique: []Unique{{Fields: []string{"consumer", "group"}}}, Record: &schema.Record{},
	},
	schema.Field{Name: "group", Type: schema.String, Required: true},
)

package entity

import (
	"fmt"

	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// plugins are those of no kind in particular: any configuration passes.
var plugins = pluginCollection(schema.Field{Name: "config", Type: schema.JSON}, nil, false)

// PluginsOf is the collection of the plugins of one kind: with the schema of
// its configuration, the protocols that its instances are for by default (nil
// for grpc, grpcs, http and https), and whether instances for one consumer are
// barred.
func PluginsOf(config schema.Record, protocols []string, noConsumer bool) *Collection {
	outer, inner := configChecks(config.Checks)
	c := pluginCollection(schema.Field{
		Name: "config", Type: schema.RecordT, Required: true,
		Fields: config.Fields, Checks: inner, Aliases: config.Aliases,
	}, protocols, noConsumer)
	c.Record.Checks = outer
	return c
}

// configChecks are the rules of a configuration: those that are rules of the
// plugin as a whole, with names such as 'config.allow', and the others.
func configChecks(all []schema.Check) (outer, inner []schema.Check) {
	for _, check := range all {
		if check.Within == nil {
			inner = append(inner, check)
			continue
		}
		lifted := check.Within("config")
		ask := lifted.Func
		lifted.Func = func(record map[string]any, report func(field, message string)) {
			if _, ok := record["config"].(map[string]any); ok {
				ask(record, report)
			}
		}
		outer = append(outer, lifted)
	}
	return outer, inner
}

func pluginCollection(config schema.Field, byDefault []string, noConsumer bool) *Collection {
	if byDefault == nil {
		byDefault = []string{"grpc", "grpcs", "http", "https"}
	}
	consumer := reference("consumer", "consumers", false)
	consumer.Eq = noConsumer
	return &Collection{
		Name:     "plugins",
		Singular: "plugin",
		Key:      "instance_name",
		Foreign: []ForeignKey{
			{Field: "route", Collection: "routes", Cascade: true},
			{Field: "service", Collection: "services", Cascade: true},
			{Field: "consumer", Collection: "consumers", Cascade: true},
		},
		Unique: []Unique{
			{Fields: []string{"instance_name"}},
			{Fields: []string{"name", "route", "service", "consumer"}, Nulls: true},
		},
		Record: &schema.Record{
			Name: "plugins",
			Fields: append(times(),
				schema.Field{Name: "name", Type: schema.String, Required: true},
				name("instance_name"),
				reference("route", "routes", false),
				reference("service", "services", false),
				consumer,
				config,
				schema.Field{Name: "protocols", Type: schema.Set, Required: true, Default: byDefault,
					Elements: &schema.Field{Type: schema.String, OneOf: pluginProtocols(byDefault)}},
				schema.Bool("enabled", true),
				schema.Tags(),
			),
		},
	}
}

// pluginProtocols are the protocols that instances may be for.
func pluginProtocols(byDefault []string) []any {
	if containsAny(byDefault, "tcp", "tls", "udp", "tls_passthrough") {
		return protocols
	}
	return []any{"grpc", "grpcs", "http", "https"}
}

// NotEnabled is what a plugin's name is told of which there is no kind.
func NotEnabled(name string) *schema.Violations {
	return schema.Violation("name", fmt.Sprintf("plugin '%s' not enabled; add it to the 'plugins' configuration property", name))
}

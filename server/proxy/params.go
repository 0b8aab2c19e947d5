package proxy

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/internal/errs"
)

// catalogService is the parameter by which a server is one of the catalogue.
const catalogService = "catalog_service"

// serverSpecs are the parameters of servers, with our own.
func serverSpecs() param.Specs {
	return dbproxy.ServerSpecs().With(param.Spec{
		Name: catalogService, Type: param.TypeString,
		Description: "Id of a MySQL service of the catalogue, whose address and login the server follows",
	})
}

// specs are the parameters of objects of a kind, made of a module. ok is false
// when there is no such module.
func (p *Proxy) specs(kind, module string) (specs param.Specs, ok bool) {
	switch kind {
	case servers:
		return serverSpecs(), true
	case listeners:
		return dbproxy.ListenerSpecs(), true
	case services:
		if r, ok := p.Modules.Routers[module]; ok {
			return slices.Concat(dbproxy.ServiceSpecs(), r.Specs), true
		}
	case filters:
		if f, ok := p.Modules.Filters[module]; ok {
			return f.Specs, true
		}
	case monitors:
		if m, ok := p.Modules.Monitors[module]; ok {
			return m.Specs, true
		}
	case program:
		return programSpecs(), true
	}
	return nil, false
}

// moduleName is the name of a module of a kind by its name or an older one.
func (p *Proxy) moduleName(kind, given string) (string, bool) {
	for _, name := range p.modulesOf(kind) {
		if strings.EqualFold(name, given) {
			return name, true
		}
	}
	other, ok := p.Modules.Aliases[strings.ToLower(given)]
	if ok && slices.Contains(p.modulesOf(kind), other) {
		return other, true
	}
	return "", false
}

// modulesOf are the names of the modules of a kind, sorted.
func (p *Proxy) modulesOf(kind string) []string {
	switch kind {
	case services:
		return slices.Sorted(maps.Keys(p.Modules.Routers))
	case filters:
		return slices.Sorted(maps.Keys(p.Modules.Filters))
	case monitors:
		return slices.Sorted(maps.Keys(p.Modules.Monitors))
	}
	return nil
}

// shown are parameters that an object is shown with and that are none: they
// say what it is, and are taken back unchanged.
func (e *estate) shown(o *object) map[string]any {
	switch o.plural {
	case services:
		return map[string]any{"type": o.singular, "router": o.module}
	case servers:
		return map[string]any{"type": o.singular}
	case listeners:
		service := ""
		if names := o.links[services]; len(names) > 0 {
			service = names[0]
		}
		return map[string]any{"type": o.singular, "service": service}
	case filters, monitors:
		return map[string]any{"type": o.singular, "module": o.module}
	}
	return nil
}

// report are all parameters as they are shown.
func (e *estate) report(o *object) map[string]any {
	out := o.set.Report()
	maps.Copy(out, e.shown(o))
	if o.plural == services {
		// As older clients know them: seconds, as numbers.
		out["connection_timeout"] = int64(o.set.Duration("wait_timeout") / time.Second)
		out["max_retry_interval"] = int64(o.set.Duration("max_retry_interval") / time.Second)
	}
	return out
}

// merge changes the parameters of an object to what is given: null resets a
// parameter, and what is absent stays. A value that is shown already changes
// nothing, under whatever name: clients send back all that they were shown.
func (e *estate) merge(o *object, given map[string]any) error {
	next := o.set.Plain()
	var faults []errs.Field
	settled := map[string]bool{}
	shown, report := e.shown(o), o.set.Report()
	for _, name := range slices.Sorted(maps.Keys(given)) {
		value := given[name]
		fault := func(message string) {
			faults = append(faults, errs.Field{Path: "parameters." + name, Message: message})
		}
		if is, ok := shown[name]; ok {
			if text, _ := value.(string); !strings.EqualFold(text, is.(string)) && value != nil {
				fault("cannot be changed")
			}
			continue
		}
		spec, ok := o.set.Specs().Find(name)
		switch {
		case !ok:
			fault("is not a parameter here")
			continue
		case spec.Ignored:
			continue
		}
		one, bad := param.ParseSome(o.set.Specs(), map[string]any{name: value})
		if len(bad) > 0 {
			fault(bad[0].Message)
			continue
		}
		if unchanged(o, spec, one, report) || settled[spec.Name] {
			continue
		}
		if spec.Fixed && o.row != nil {
			fault("cannot be changed; make another one instead")
			continue
		}
		settled[spec.Name] = true
		delete(next, spec.Name)
		if plain, ok := one.Plain()[spec.Name]; ok {
			next[spec.Name] = plain
		}
	}
	e.turnOnTLS(o, next)
	set, bad := param.Parse(o.set.Specs(), next)
	for _, f := range bad {
		if !slices.ContainsFunc(faults, func(other errs.Field) bool { return other.Path == "parameters."+f.Name }) {
			faults = append(faults, errs.Field{Path: "parameters." + f.Name, Message: f.Message})
		}
	}
	if len(faults) > 0 {
		return errs.Invalid(faults...)
	}
	if was := o.secrets["password"]; o.plural == services && o.row != nil && was != "" && was != set.String("password") {
		o.secrets[previousPassword] = was
	}
	o.set, o.fault = set, nil
	return nil
}

// unchanged tells whether a value is the one that a parameter has.
func unchanged(o *object, spec *param.Spec, one param.Set, report map[string]any) bool {
	if spec.Type == param.TypePassword {
		text := one.String(spec.Name)
		return text == param.Hidden || text == o.set.String(spec.Name)
	}
	return reflect.DeepEqual(one.Report()[spec.Name], report[spec.Name])
}

// turnOnTLS is what TLS files of a listener mean without a word about TLS
// itself: it is on, and then all three of them are needed.
func (e *estate) turnOnTLS(o *object, next map[string]any) {
	if o.plural != listeners || next["ssl"] != nil {
		return
	}
	if next["ssl_cert"] != nil && next["ssl_key"] != nil && next["ssl_ca"] != nil {
		next["ssl"] = true
	}
}

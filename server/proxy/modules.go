package proxy

import (
	"context"
	"encoding/json"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/store"
)

// module is a module of whatever kind.
type module struct {
	name, kind, api, description string
	specs                        param.Specs
	commands                     []dbproxy.Command
}

// modules are all modules: those of the data plane by kind and name, and
// others that stand for what is built in.
func (p *Proxy) modules() (out []module) {
	for _, name := range p.modulesOf(services) {
		m := p.Modules.Routers[name]
		out = append(out, module{name, "Router", "router", m.Description, slices.Concat(m.Specs, dbproxy.ServiceSpecs()), m.Commands})
	}
	for _, name := range p.modulesOf(filters) {
		m := p.Modules.Filters[name]
		out = append(out, module{name, "Filter", "filter", m.Description, m.Specs, m.Commands})
	}
	for _, name := range p.modulesOf(monitors) {
		m := p.Modules.Monitors[name]
		out = append(out, module{name, "Monitor", "monitor", m.Description, m.Specs, m.Commands})
	}
	return append(out,
		module{name: "MariaDBAuth", kind: "Authenticator", api: "authenticator", description: "The login of MySQL and MariaDB"},
		module{name: "MariaDBProtocol", kind: "Protocol", api: "protocol", description: "The protocol of MySQL and MariaDB", specs: dbproxy.ListenerSpecs()},
		module{name: program, kind: program, description: "The settings of the proxy", specs: programSpecs()},
		module{name: servers, kind: servers, description: "The parameters of servers", specs: serverSpecs()},
	)
}

func (m module) show(l linker) (*proxyv1.Module, error) {
	at := l.resource("maxscale/modules", m.name)
	a := &proxyv1.ModuleAttributes{ModuleType: m.kind, Version: "V1.0.0", Maturity: "GA", Description: m.description, Api: m.api}
	defaults, _ := param.ParseSome(m.specs, nil)
	report := defaults.Report()
	for i := range m.specs {
		spec := &m.specs[i]
		if spec.Ignored {
			continue
		}
		shown, err := showSpec(spec, report[spec.Name])
		if err != nil {
			return nil, err
		}
		a.Parameters = append(a.Parameters, shown)
	}
	for _, c := range m.commands {
		a.Commands = append(a.Commands, showCommand(at, c))
	}
	return &proxyv1.Module{Id: m.name, Type: "modules", Attributes: a, Relationships: &proxyv1.Relationships{}, Links: self(at)}, nil
}

func showSpec(spec *param.Spec, value any) (*proxyv1.ModuleParameter, error) {
	out := &proxyv1.ModuleParameter{
		Name: spec.Name, Type: string(spec.Type), Mandatory: spec.Mandatory, Modifiable: !spec.Fixed, Description: spec.Description,
	}
	if spec.Type == param.TypeHost {
		out.Type = string(param.TypeString) // which clients know
	}
	var err error
	if value != nil && !spec.Mandatory {
		if out.DefaultValue, err = valueOf(value); err != nil {
			return nil, err
		}
	}
	if spec.Type == param.TypeDuration {
		out.Unit = proto.String("ms")
	}
	if len(spec.Enum) > 0 {
		out.EnumValues = &structpb.ListValue{}
		for _, e := range spec.Enum {
			out.EnumValues.Values = append(out.EnumValues.Values, structpb.NewStringValue(e))
		}
	}
	if spec.Deprecated {
		out.Deprecated = proto.Bool(true)
	}
	return out, nil
}

func showCommand(module string, c dbproxy.Command) *proxyv1.ModuleCommand {
	a := &proxyv1.ModuleCommandAttributes{Method: c.Method, ArgMax: int32(len(c.Args)), Description: c.Description}
	for _, arg := range c.Args {
		text := string(arg.Type)
		if arg.Optional {
			text = "[" + text + "]"
		} else {
			a.ArgMin++
		}
		a.Parameters = append(a.Parameters, &proxyv1.ModuleCommandArgument{Type: text, Description: arg.Description, Required: !arg.Optional})
	}
	return &proxyv1.ModuleCommand{Id: c.Name, Type: "module_command", Attributes: a, Links: self(module + c.Name + "/")}
}

// ListModules implements the RPC.
func (p *Proxy) ListModules(ctx context.Context, _ *proxyv1.ListModulesRequest) (*proxyv1.ModuleCollection, error) {
	l := linksOf(ctx)
	out := &proxyv1.ModuleCollection{Links: self(l.collection("maxscale/modules"))}
	for _, m := range p.modules() {
		shown, err := m.show(l)
		if err != nil {
			return nil, err
		}
		out.Data = append(out.Data, shown)
	}
	return out, nil
}

// findModule finds a module by its name or an older one.
func (p *Proxy) findModule(name string) (module, error) {
	for _, kind := range []string{services, filters, monitors} {
		if known, ok := p.moduleName(kind, name); ok {
			name = known
		}
	}
	for _, m := range p.modules() {
		if m.name == name {
			return m, nil
		}
	}
	return module{}, errs.New(errs.NotFound, "%s is not a module", name)
}

// GetModule implements the RPC.
func (p *Proxy) GetModule(ctx context.Context, req *proxyv1.NameRequest) (*proxyv1.ModuleDocument, error) {
	m, err := p.findModule(req.GetName())
	if err != nil {
		return nil, err
	}
	shown, err := m.show(linksOf(ctx))
	return &proxyv1.ModuleDocument{Links: self(shown.GetLinks().GetSelf()), Data: shown}, err
}

// ReadCommand implements the RPC.
func (p *Proxy) ReadCommand(ctx context.Context, req *proxyv1.CommandRequest) (*proxyv1.CommandResponse, error) {
	return p.command(ctx, req, "GET")
}

// RunCommand implements the RPC.
func (p *Proxy) RunCommand(ctx context.Context, req *proxyv1.CommandRequest) (*proxyv1.CommandResponse, error) {
	return p.command(ctx, req, "POST")
}

func (p *Proxy) command(ctx context.Context, req *proxyv1.CommandRequest, method string) (*proxyv1.CommandResponse, error) {
	m, err := p.findModule(req.GetModule())
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(m.commands, func(c dbproxy.Command) bool { return c.Name == req.GetCommand() })
	if at < 0 {
		return nil, errs.New(errs.ValidationFailed, "%s is not a command of %s", req.GetCommand(), m.name)
	}
	c := m.commands[at]
	if c.Method != method {
		return nil, errs.New(errs.ValidationFailed, "The command %s is run by %s", c.Name, c.Method)
	}
	args, err := p.arguments(ctx, m, c, req.GetArguments())
	if err != nil {
		return nil, err
	}
	out, err := c.Run(ctx, args)
	if err != nil {
		return nil, &errs.Error{Reason: errs.ValidationFailed, Message: "The command " + c.Name + " failed: " + err.Error()}
	}
	if method == "POST" {
		if err := p.recordCommand(ctx, m, c, req.GetArguments()); err != nil {
			return nil, err
		}
	}
	res := &proxyv1.CommandResponse{Links: self(linksOf(ctx).resource("maxscale/modules/"+m.name, c.Name))}
	if out != nil {
		res.Meta, err = valueOf(out)
	}
	return res, err
}

// arguments are what a command is run with.
func (p *Proxy) arguments(ctx context.Context, m module, c dbproxy.Command, given []string) ([]any, error) {
	least := 0
	for _, arg := range c.Args {
		if !arg.Optional {
			least++
		}
	}
	if len(given) < least || len(given) > len(c.Args) {
		return nil, errs.New(errs.ValidationFailed, "The command %s takes %d to %d arguments, not %d", c.Name, least, len(c.Args), len(given))
	}
	e, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	args := make([]any, len(c.Args))
	for i, text := range given {
		arg := c.Args[i]
		if arg.Type == dbproxy.ArgString {
			args[i] = text
			continue
		}
		if args[i], err = p.argument(e, m, arg.Type, text); err != nil {
			return nil, err
		}
	}
	return args, nil
}

// argument is the object that an argument names.
func (p *Proxy) argument(e *estate, m module, of dbproxy.ArgumentType, name string) (any, error) {
	kinds := map[dbproxy.ArgumentType]string{
		dbproxy.ArgServer: servers, dbproxy.ArgService: services, dbproxy.ArgFilter: filters, dbproxy.ArgMonitor: monitors,
	}
	k := kindOf(kinds[of])
	none := errs.New(errs.ValidationFailed, "%s is not %s %s", name, article(k.singular), k.singular)
	o, ok := e.lookup(k.plural, name)
	if !ok {
		return nil, none
	}
	if o.module != "" && o.module != m.name {
		return nil, errs.New(errs.ValidationFailed, "%s is of the module %s, not %s", name, o.module, m.name)
	}
	var found any
	switch of {
	case dbproxy.ArgServer:
		found, ok = p.plane.Server(o.name)
	case dbproxy.ArgService:
		found, ok = p.plane.Service(o.name)
	case dbproxy.ArgFilter:
		found, ok = p.plane.Filter(o.name)
	case dbproxy.ArgMonitor:
		found, _, ok = p.plane.Monitor(o.name)
	}
	if !ok {
		return nil, none
	}
	return found, nil
}

// recordCommand records that a command was run, and with what.
func (p *Proxy) recordCommand(ctx context.Context, m module, c dbproxy.Command, arguments []string) error {
	text, err := json.Marshal(append([]string{}, arguments...))
	if err != nil {
		return err
	}
	return p.Store.Change(ctx, func(tx *store.Tx) error {
		tx.Audit(store.Audit{
			Action: "RunCommand", Kind: "proxy_module", ID: m.name, Name: c.Name, Changes: store.Changes(nil, map[string]string{"arguments": string(text)}),
		})
		return nil
	})
}

package httpproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/backplane/backplane/dataplane/httpproxy/balance"
	"github.com/backplane/backplane/internal/evloop"
)

// Options are what a Proxy is made from. Zero values are defaults.
type Options struct {
	// HTTP and HTTPS are the addresses to listen at, host:port; "" is for none.
	HTTP, HTTPS string
	// Modules are the plugins that there are.
	Modules []PluginModule
	Logger  *slog.Logger // the default one when nil
	// AccessLog is told of each request that has ended; nil for no log.
	AccessLog *slog.Logger
	// Metrics is where metrics are registered; a registry of its own when nil.
	Metrics prometheus.Registerer
	// TrustedIPs are the peers that are believed when they say who a request is
	// from and how it reached them.
	TrustedIPs []netip.Prefix
	// Name is how the gateway calls itself in Server and Via: "kong/3.10.0" by
	// default.
	Name string
	// Node is the ID by which metrics name the gateway; a new one when "".
	Node string
	// Drain is how long requests under way may take when Run ends: ten seconds
	// by default, a negative time is none.
	Drain time.Duration
	// HeadTimeout is how long the head of a request may take, a minute by
	// default, and IdleTimeout how long a connection may be without a request,
	// 75 seconds by default. BodyTimeout is how long a client may take between
	// two reads or writes of bodies, a minute by default.
	HeadTimeout, IdleTimeout, BodyTimeout time.Duration
	// MaxBody bounds the bodies of requests; 0 is for no bound.
	MaxBody int64
	// BufferDir is where long bodies are kept while they are read, the system's
	// directory for temporary files by default.
	BufferDir string
	// Resolver looks up names of hosts; the system's when nil.
	Resolver balance.Resolver
	// KeepAlive is how many connections to one address are kept when no request
	// needs them: 512 by default.
	KeepAlive int
	// Loops is how many event loops carry connections: evloop.DefaultLoops
	// by default, none if it is negative.
	Loops int
}

// Proxy is a gateway. Its methods may be called from anywhere.
type Proxy struct {
	options   Options
	log       *slog.Logger
	metrics   prometheus.Registerer
	modules   map[string]*PluginModule
	listeners []*listener

	ctx     context.Context // of everything that lives as long as the Proxy
	stop    context.CancelFunc
	running sync.WaitGroup
	// accepting ends when no more connections are taken in.
	accepting sync.WaitGroup
	once      sync.Once

	updating sync.Mutex
	config   *configuration
	current  atomic.Pointer[snapshot]

	balancers *balance.Pool
	exchanges exchanges
	conns     conns
	retired   retirement
	shared    sharedStates
	transport *transport
	loops     *evloop.Group // nil where there are none
	front     *httpFront
	counts    counts
	dated     atomic.Pointer[second]
	tls       *tls.Config // of listeners
	// ownCertificate is shown under names that have none.
	ownCertificate func() (*tls.Certificate, error)
	via1           string // what is added to Via, by the version of HTTP
	via2           string
}

// New makes a Proxy and opens its listeners: clients wait until Run takes them
// in. It is to be ended by Run or by Close.
func New(o Options) (*Proxy, error) {
	o.complete()
	p := &Proxy{options: o, log: o.Logger, metrics: o.Metrics, modules: map[string]*PluginModule{}, config: newConfiguration(),
		via1: "1.1 " + o.Name, via2: "2 " + o.Name}
	for i := range o.Modules {
		p.modules[o.Modules[i].Name] = &o.Modules[i]
	}
	p.current.Store(emptySnapshot())
	p.retired.wake = make(chan struct{}, 1)
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.ownCertificate = sync.OnceValues(newOwnCertificate)
	p.tls = p.listenerTLS()
	p.startLoops()
	p.transport = newTransport(p)
	p.balancers = balance.NewPool(balance.Options{Resolver: o.Resolver, Certificate: p.checkCertificate, Log: p.log})
	p.front = newHTTPFront(p)
	for _, l := range []*listener{{address: o.HTTP}, {address: o.HTTPS, secure: true}} {
		if l.address == "" {
			continue
		}
		if err := p.listen(l); err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p.listeners = append(p.listeners, l)
	}
	p.running.Go(p.closeRetired)
	p.running.Go(p.transport.sweep)
	return p, nil
}

func (o *Options) complete() {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	if o.Node == "" {
		o.Node = uuid.NewString()
	}
	if o.Name == "" {
		o.Name = "kong/3.10.0"
	}
	for v, d := range map[*time.Duration]time.Duration{
		&o.Drain: 10 * time.Second, &o.HeadTimeout: time.Minute, &o.IdleTimeout: 75 * time.Second, &o.BodyTimeout: time.Minute,
	} {
		if *v == 0 {
			*v = d
		}
	}
	if o.KeepAlive == 0 {
		o.KeepAlive = 512
	}
}

// Addr is where it listens without TLS, nil if it does not.
func (p *Proxy) Addr() net.Addr { return p.addr(false) }

// TLSAddr is where it listens with TLS, nil if it does not.
func (p *Proxy) TLSAddr() net.Addr { return p.addr(true) }

func (p *Proxy) addr(secure bool) net.Addr {
	for _, l := range p.listeners {
		if l.secure == secure {
			return l.socket.Addr()
		}
	}
	return nil
}

// View is what the Proxy is configured with now.
func (p *Proxy) View() View { return p.current.Load() }

// Run serves until ctx ends. Then it takes no more requests, and lets those
// under way end within Options.Drain.
func (p *Proxy) Run(ctx context.Context) error {
	for _, l := range p.listeners {
		p.takeIn(l)
	}
	select {
	case <-ctx.Done():
	case <-p.ctx.Done():
	}
	p.drain()
	return p.Close()
}

// Close ends everything at once, and waits for it.
func (p *Proxy) Close() error {
	p.once.Do(func() {
		p.stop()
		for _, l := range p.listeners {
			l.close()
		}
		p.accepting.Wait()
		p.front.close()
		p.conns.shutdown(p.ctx)
		p.transport.close()
		p.running.Wait()
		p.endLoops()
		p.updating.Lock()
		defer p.updating.Unlock()
		for _, i := range p.retired.waiting {
			p.closeInstance(i.instance)
		}
		for _, i := range p.config.sortedPlugins() {
			p.closeInstance(i)
		}
		p.balancers.Close()
		p.config.plugins = map[uuid.UUID]*instance{}
		p.shared.close(func(err error) { p.log.Warn("a plugin's state could not be closed", "error", err) })
	})
	return nil
}

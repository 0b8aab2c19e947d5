package registry

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/backplane/backplane/ent"
)

const (
	// statusUnreached and statusUnreadable are what came of a fetch that ended
	// without a status of HTTP, or with a body that is of no use.
	statusUnreached  = -1
	statusUnreadable = -2

	// atOnce is how many documents are fetched at once.
	atOnce = 256
	// maxDocument is how long a document may be, and maxTogether all of them.
	maxDocument = 16 << 20
	maxTogether = 256 << 20
	// Of documents longer than shortDocument, longAtOnce are read at once.
	shortDocument = 1 << 20
	longAtOnce    = 16
	// maxRedirects is how often a service may say that its document is elsewhere.
	maxRedirects = 5
	maxHeaders   = 256 << 10
)

var (
	errRedirects = fmt.Errorf("its document is %d redirects away, and more", maxRedirects+1)
	errTooLong   = fmt.Errorf("its document is longer than %d MiB", maxDocument>>20)
	errTogether  = errors.New("there is no room for its document beside those of the other services, which are too long together")
)

// fetched is what came of fetching a document.
type fetched struct {
	status  int32
	problem string // what is wrong; "" if nothing is
	body    []byte // of a document that was fetched, and is not the stored one
	hash    string // of it
	barred  bool   // whether the service is where none may be
}

// failed is what came of a fetch that brought no document.
func failed(status int32, problem string) fetched {
	return fetched{status: status, problem: clean(problem)}
}

// fetcher fetches documents.
type fetcher struct {
	client   *http.Client
	timeout  time.Duration
	room     chan struct{} // one for each fetch under way
	long     chan struct{} // one for each of a long document
	together int64         // how long all documents that are new may be
}

// barred is the error of a host that has no address which may be used.
type barred struct{ error }

func (b barred) Unwrap() error { return b.error }

// newFetcher makes a fetcher that goes where the rules allow, whatever names
// stand for and wherever it is redirected. It shows no credentials, asks no
// proxy, and keeps no connections.
func newFetcher(r rules, timeout time.Duration) *fetcher {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		var may atomic.Bool // addresses are tried side by side
		d := net.Dialer{Control: func(_, to string, _ syscall.RawConn) error {
			addr, err := netip.ParseAddrPort(to)
			if err == nil {
				err = r.dial(host, addr)
			}
			if err == nil {
				may.Store(true)
			}
			return err
		}}
		conn, err := d.DialContext(ctx, network, address)
		if !may.Load() && (errors.Is(err, errOwn) || errors.Is(err, errNotAllowed)) {
			err = barred{err}
		}
		return conn, err
	}
	return &fetcher{
		timeout: timeout, room: make(chan struct{}, atOnce), long: make(chan struct{}, longAtOnce), together: maxTogether,
		client: &http.Client{
			Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true, MaxResponseHeaderBytes: maxHeaders, ForceAttemptHTTP2: true},
			CheckRedirect: func(_ *http.Request, via []*http.Request) error {
				if len(via) > maxRedirects {
					return errRedirects
				}
				return nil
			},
		},
	}
}

// all fetches the documents of services, at once, and returns what came of each.
func (f *fetcher) all(ctx context.Context, services map[int64]*ent.RegisteredService) map[int64]fetched {
	var mu sync.Mutex
	var wait sync.WaitGroup
	var held int64
	out := make(map[int64]fetched, len(services))
	for id, row := range services {
		wait.Go(func() {
			f.room <- struct{}{}
			defer func() { <-f.room }()
			got := f.fetch(ctx, settingsOf(row))
			mu.Lock()
			defer mu.Unlock()
			switch n := int64(len(got.body)); {
			case got.hash == row.DocumentHash:
				got.body = nil // it is in the store
			case held+n > f.together:
				got = failed(statusUnreadable, errTogether.Error()) // until others are in the store
			default:
				held += n
			}
			out[id] = got
		})
	}
	wait.Wait()
	return out
}

// documentURL is where the document of a service is.
func documentURL(s settings) string {
	return s.domain + ":" + strconv.Itoa(int(s.port)) + s.documentPath
}

func (f *fetcher) fetch(ctx context.Context, s settings) fetched {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, documentURL(s), nil)
	if err != nil {
		return failed(statusUnreached, "its address cannot be used")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "backplane")
	resp, err := f.client.Do(req)
	if err != nil {
		if resp != nil && errors.Is(err, errRedirects) {
			return failed(int32(resp.StatusCode), errRedirects.Error())
		}
		got := failed(statusUnreached, f.describe(err))
		var asked *url.Error
		got.barred = errors.As(err, new(barred)) && errors.As(err, &asked) && asked.URL == req.URL.String()
		return got
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return failed(int32(resp.StatusCode), fmt.Sprintf("asked for its document, it answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode)))
	}
	body, err := f.read(ctx, resp.Body)
	switch {
	case errors.Is(err, errTooLong):
		return failed(statusUnreadable, errTooLong.Error())
	case err != nil:
		return failed(statusUnreached, f.describe(err))
	}
	return fetched{status: http.StatusOK, body: body, hash: hashOf(body)}
}

// read reads a document. Long ones wait for each other, so that many at once have
// room.
func (f *fetcher) read(ctx context.Context, from io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(from, shortDocument))
	if err != nil || len(body) < shortDocument {
		return body, err
	}
	select {
	case f.long <- struct{}{}:
		defer func() { <-f.long }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	to := bytes.NewBuffer(body)
	if _, err := to.ReadFrom(io.LimitReader(from, maxDocument-shortDocument+1)); err != nil {
		return nil, err
	}
	if to.Len() > maxDocument {
		return nil, errTooLong
	}
	return to.Bytes(), nil
}

// describe tells why a service was not reached, without the addresses that its
// name stands for.
func (f *fetcher) describe(err error) string {
	var dns *net.DNSError
	var wrong *tls.CertificateVerificationError
	switch {
	case errors.Is(err, errOwn), errors.Is(err, errNotAllowed):
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("it did not answer within %s", f.timeout)
	case errors.Is(err, context.Canceled):
		return "the server was shut down meanwhile"
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("there is no host %s", dns.Name)
	case errors.As(err, &dns):
		return fmt.Sprintf("the host %s could not be looked up", dns.Name)
	case errors.As(err, &wrong):
		return fmt.Sprintf("its certificate is not trusted: %v", wrong.Err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "it refused the connection"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it closed the connection"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no way to it in the network"
	case isNotHTTP(err):
		// The error has what it is instead, which is nobody's to read here.
		return "it could not be reached: what it answers is not HTTP"
	}
	return "it could not be reached: " + innermost(err)
}

// isNotHTTP tells whether an answer could not be read for its syntax.
func isNotHTTP(err error) bool {
	var syntax textproto.ProtocolError
	return errors.As(err, &syntax) || strings.Contains(err.Error(), "malformed HTTP")
}

// innermost is the text of an error without what tells of addresses.
func innermost(err error) string {
	var asked *url.Error
	if errors.As(err, &asked) {
		err = asked.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	text := []rune(err.Error())
	return string(text[:min(len(text), 300)])
}

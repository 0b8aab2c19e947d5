package registry

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
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
	"syscall"
	"time"
)

const (
	// statusUnreached and statusUnreadable are what came of a fetch that ended
	// without a status of HTTP, or with a body that is of no use.
	statusUnreached  = -1
	statusUnreadable = -2

	// atOnce is how many documents are fetched at once.
	atOnce = 256
	// maxDocument is how long a document may be.
	maxDocument = 16 << 20
	// maxRedirects is how often a service may say that its document is elsewhere.
	maxRedirects = 5
	maxHeaders   = 256 << 10
)

var (
	errRedirects = fmt.Errorf("its document is %d redirects away, and more", maxRedirects+1)
	errTooLong   = fmt.Errorf("its document is longer than %d MiB", maxDocument>>20)
)

// fetched is what came of fetching a document.
type fetched struct {
	status  int32
	problem string // what is wrong; "" if nothing is
	body    []byte // of a document that was fetched
	hash    string // of it
}

// failed is what came of a fetch that brought no document.
func failed(status int32, problem string) fetched {
	return fetched{status: status, problem: clean(problem)}
}

// fetcher fetches documents.
type fetcher struct {
	client  *http.Client
	timeout time.Duration
	room    chan struct{} // one for each fetch under way
}

// newFetcher makes a fetcher that goes where the rules allow, whatever names
// stand for and wherever it is redirected. It shows no credentials, asks no
// proxy, and keeps no connections.
func newFetcher(r rules, timeout time.Duration) *fetcher {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		d := net.Dialer{Control: func(_, to string, _ syscall.RawConn) error {
			addr, err := netip.ParseAddrPort(to)
			if err != nil {
				return err
			}
			return r.dial(host, addr)
		}}
		return d.DialContext(ctx, network, address)
	}
	return &fetcher{
		timeout: timeout, room: make(chan struct{}, atOnce),
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
func (f *fetcher) all(ctx context.Context, services map[int64]settings) map[int64]fetched {
	var mu sync.Mutex
	var wait sync.WaitGroup
	out := make(map[int64]fetched, len(services))
	for id, s := range services {
		wait.Go(func() {
			f.room <- struct{}{}
			defer func() { <-f.room }()
			got := f.fetch(ctx, s)
			mu.Lock()
			defer mu.Unlock()
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
		return failed(statusUnreached, f.describe(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return failed(int32(resp.StatusCode), fmt.Sprintf("asked for its document, it answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode)))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	switch {
	case err != nil:
		return failed(statusUnreached, f.describe(err))
	case len(body) > maxDocument:
		return failed(statusUnreadable, errTooLong.Error())
	}
	sum := sha256.Sum256(body)
	return fetched{status: http.StatusOK, body: body, hash: hex.EncodeToString(sum[:])}
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

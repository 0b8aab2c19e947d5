package minio

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/backplane/backplane/connectors"
)

// maxAnswer bounds an answer with its header. A list of buckets is the largest
// that is asked for.
const maxAnswer = 4 << 20

// client asks one store.
type client struct {
	p        *connectors.Probe
	c        connectors.Config
	endpoint endpoint
	bucket   string
}

// answer is what the store said.
type answer struct {
	status int
	header http.Header
	body   []byte
	fault  s3Error
}

// s3Error is the body of an S3 error
// (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
type s3Error struct {
	XMLName xml.Name `xml:"Error"`
	Code    string
	Message string
	Region  string
}

// fromS3 reports whether the answer carries the mark of an S3 server.
func (a *answer) fromS3() bool {
	return a.fault.Code != "" || a.header.Get("X-Amz-Request-Id") != ""
}

func (a *answer) code() string { return a.fault.Code }

// url is the address of the service, without the bucket.
func (cl *client) url() *url.URL {
	u := &url.URL{Scheme: "http", Host: cl.endpoint.host, Path: "/"}
	if strings.Contains(u.Host, ":") {
		u.Host = "[" + u.Host + "]"
	}
	if cl.endpoint.port != "" {
		u.Host += ":" + cl.endpoint.port
	}
	if cl.c.Bool("use_ssl") {
		u.Scheme = "https"
	}
	return u
}

// request is signed, and asks for the bucket's first object, or, without a
// bucket, for all buckets.
func (cl *client) request(ctx context.Context, method string) (*http.Request, error) {
	u := cl.url()
	if cl.bucket != "" {
		if cl.dnsStyle() {
			u.Host = cl.bucket + "." + u.Host
		} else {
			u.Path = "/" + cl.bucket + "/"
		}
		if method == http.MethodGet {
			u.RawQuery = url.Values{"list-type": {"2"}, "max-keys": {"1"}}.Encode()
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r.Close = true
	r.Header.Set("User-Agent", "Backplane")
	empty := sha256.Sum256(nil)
	r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(empty[:]))
	return signer.SignV4(*r, cl.c.String("access_key"), cl.c.String("secret_key"), cl.c.String("session_token"), cl.c.String("region")), nil
}

// do sends one request over a connection of its own.
func (cl *client) do(ctx context.Context, method string) (*answer, error) {
	r, err := cl.request(ctx, method)
	if err != nil {
		return nil, connectors.Fail(connectors.InvalidConfig, err, "endpoint")
	}
	conn, err := cl.dial(ctx, r.URL.Hostname())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	// A server that answers before it has read everything may close early; its
	// answer is worth more than the failed write.
	werr := r.Write(conn)
	limited := &io.LimitedReader{R: conn, N: maxAnswer}
	a, err := readAnswer(bufio.NewReader(limited), r)
	switch {
	case err == nil:
		return a, nil
	case limited.N == 0:
		return nil, connectors.Fail(connectors.ProtocolMismatch, err, "its answer has no end")
	case isTLSRecord(cl.p.First()) && !cl.c.Bool("use_ssl"):
		return nil, &connectors.Failure{Code: connectors.TLSRequired, Hint: "Set use_ssl.", Err: err}
	case isNetwork(err) && werr != nil:
		return nil, werr
	case isNetwork(err):
		return nil, err
	}
	f := cl.mismatch()
	f.Err = err
	return nil, f
}

func (cl *client) dial(ctx context.Context, host string) (net.Conn, error) {
	address := cl.endpoint.address(host, cl.c.Bool("use_ssl"))
	if !cl.c.Bool("use_ssl") {
		return cl.p.Dial(ctx, "tcp", address)
	}
	cfg, err := connectors.TLSConfig(cl.c, host)
	if err != nil {
		return nil, err
	}
	return cl.p.DialTLS(ctx, "tcp", address, cfg)
}

// readAnswer reads an HTTP answer and the S3 error in it, if there is one.
func readAnswer(r *bufio.Reader, req *http.Request) (*answer, error) {
	// Whatever is no HTTP is refused at its first bytes: a line may never end.
	start, err := r.Peek(5)
	if len(start) > 0 && !strings.HasPrefix("HTTP/", string(start)) {
		return nil, errors.New("not an HTTP answer")
	}
	if err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(r, req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("answer's body: %w", err)
	}
	a := &answer{status: resp.StatusCode, header: resp.Header, body: body}
	if a.status >= 300 && xml.Unmarshal(body, &a.fault) != nil {
		a.fault = s3Error{}
	}
	return a, nil
}

func isTLSRecord(b []byte) bool {
	return len(b) > 2 && (b[0] == 0x15 || b[0] == 0x16) && b[1] == 3
}

// isNetwork tells a broken connection from an answer that makes no sense.
func isNetwork(err error) bool {
	var n net.Error
	return errors.As(err, &n) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// Package minio tests connections to MinIO and every other object store that
// speaks S3. The requests are signed by the MinIO client library but sent by
// hand: the client would retry, wait before telling an error, and take any web
// page for an empty bucket. Start at Connector.Test.
package minio

import (
	"context"
	"encoding/xml"
	"net/http"

	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/backplane/backplane/connectors"
)

// Connector tests S3 object stores.
type Connector struct{}

var _ connectors.Connector = (*Connector)(nil)

// New returns the connector of type minio.
func New() *Connector { return &Connector{} }

// Spec describes the configuration of an object storage service.
func (*Connector) Spec() connectors.Spec {
	fields := []connectors.Field{
		{Name: "endpoint", Kind: connectors.String, Required: true, Max: 512, Check: checkEndpoint,
			Doc: "The server as host, host:port, or a URL of both without a path."},
		{Name: "access_key", Kind: connectors.String, Required: true, Max: 256, Doc: "Access key (the user's name)."},
		{Name: "secret_key", Kind: connectors.String, Required: true, Max: 1024, Secret: true, Doc: "Secret key."},
		{Name: "session_token", Kind: connectors.String, Secret: true, Doc: "Token that goes with temporary keys."},
		{Name: "bucket", Kind: connectors.String, Check: checkBucket, Doc: "Bucket to use; default: none in particular."},
		{Name: "use_ssl", Kind: connectors.Boolean, Doc: "Use HTTPS. Default: as the endpoint's URL says, or false."},
		{Name: "region", Kind: connectors.String, Min: 1, Max: 64, Default: "us-east-1", Doc: "Region of the store."},
		{Name: "path_style", Kind: connectors.String, Enum: []string{"auto", "path", "dns"}, Default: "auto",
			Doc: "Where requests name the bucket: in the path, or as part of the host; auto uses dns for Amazon and Google alone."},
		connectors.TimeoutField("timeout_seconds"),
	}
	fields = append(fields, connectors.TLSFields()...)
	fields = append(fields, connectors.UnusedFields("read_timeout", "write_timeout", "max_retries", "retry_delay")...)
	return connectors.Spec{
		Type: "minio", Title: "MinIO / S3", Doc: "An object store: MinIO, Amazon S3 or a compatible one.",
		Fields: fields, Check: check, Derive: derive,
	}
}

func derive(c connectors.Config) {
	if !c.Has("use_ssl") {
		e, _ := parseEndpoint(c.String("endpoint"))
		c["use_ssl"] = e.scheme == "https"
	}
}

func check(c connectors.Config, _ connectors.Env) []connectors.Fault {
	faults := connectors.CheckTLS(c)
	e, _ := parseEndpoint(c.String("endpoint"))
	if e.scheme != "" && (e.scheme == "https") != c.Bool("use_ssl") {
		faults = append(faults, connectors.Fault{Field: "use_ssl", Message: "must agree with the scheme of endpoint"})
	}
	return faults
}

// Test signs one request for the configured bucket, or for the list of
// buckets, and wants an answer that only S3 gives. It stores nothing.
func (*Connector) Test(ctx context.Context, p *connectors.Probe, c connectors.Config) error {
	e, err := parseEndpoint(c.String("endpoint"))
	if err != nil {
		return connectors.Fail(connectors.InvalidConfig, err, "endpoint")
	}
	cl := &client{p: p, c: c, endpoint: e, bucket: c.String("bucket")}
	if !c.Bool("use_ssl") && c.Has("session_token") {
		p.WarnPlaintext()
	}
	a, err := cl.do(ctx, http.MethodGet)
	if err != nil {
		return err
	}
	if a.code() == "AccessDenied" && cl.bucket != "" {
		return cl.head(ctx, a)
	}
	return cl.judge(a)
}

// judge accepts the answer to a GET that succeeded.
func (cl *client) judge(a *answer) error {
	if a.status != http.StatusOK {
		return cl.refusal(a)
	}
	if !cl.genuine(a) {
		return cl.mismatch()
	}
	cl.accepted(a)
	return nil
}

// head asks whether the bucket is there, for keys that may not list it.
func (cl *client) head(ctx context.Context, denied *answer) error {
	a, err := cl.do(ctx, http.MethodHead)
	if err != nil {
		return err
	}
	if a.status != http.StatusOK || !a.fromS3() {
		return cl.refusal(denied)
	}
	cl.p.Warn("restricted", "The keys may not list the bucket.")
	cl.accepted(a)
	return nil
}

func (cl *client) accepted(a *answer) {
	cl.p.Enter(connectors.StageVerify)
	cl.p.Verified()
	cl.p.Note(func(r *connectors.Report) { r.ServerVersion = a.header.Get("Server") })
}

// genuine reports whether a 200 came from S3: any web server may answer so.
func (cl *client) genuine(a *answer) bool {
	var body struct {
		XMLName xml.Name
		Name    string `xml:"Name"`
	}
	if xml.Unmarshal(a.body, &body) != nil {
		return false
	}
	if cl.bucket != "" {
		return body.XMLName.Local == "ListBucketResult" && (body.Name == cl.bucket || body.Name == "" && a.fromS3())
	}
	return body.XMLName.Local == "ListAllMyBucketsResult"
}

// dnsStyle reports whether requests name the bucket in the host.
func (cl *client) dnsStyle() bool {
	switch {
	case cl.bucket == "":
		return false
	case cl.c.String("path_style") == "dns":
		return true
	case cl.c.String("path_style") == "path":
		return false
	}
	u := cl.url()
	return s3utils.IsVirtualHostSupported(*u, cl.bucket)
}

package minio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/backplane/backplane/connectors"
)

const (
	// partSize is how much of an upload is held in memory at a time.
	partSize = 16 << 20
	// parts is how many parts an upload is made of at most, with room for one
	// that is twice as long as was expected: stores take 10,000.
	parts = 4000
	// tries of each request, which the client spaces out.
	tries = 3
	// answerTimeout bounds the wait for an answer to a request that was sent.
	answerTimeout = time.Minute
	// abortTimeout bounds the end of an upload that was given up.
	abortTimeout = 30 * time.Second
)

// OpenBucket opens the configured bucket for objects.
func (*Connector) OpenBucket(env connectors.Env, c connectors.Config) (connectors.Bucket, error) {
	e, err := parseEndpoint(c.String("endpoint"))
	if err != nil {
		return nil, connectors.Fail(connectors.InvalidConfig, err, "endpoint")
	}
	if c.String("bucket") == "" {
		return nil, connectors.Fail(connectors.InvalidConfig, nil, "bucket names no bucket")
	}
	b := &bucket{asker: &client{c: c, endpoint: e, bucket: c.String("bucket")}}
	b.transport = &http.Transport{
		DialContext: env.Dial, ResponseHeaderTimeout: answerTimeout, TLSHandshakeTimeout: answerTimeout, DisableCompression: true,
	}
	if c.Bool("use_ssl") {
		if b.transport.TLSClientConfig, err = connectors.TLSConfig(c, ""); err != nil {
			return nil, err
		}
	}
	lookup := minio.BucketLookupPath
	if b.asker.dnsStyle() {
		lookup = minio.BucketLookupDNS
	}
	b.client, err = minio.New(b.asker.url().Host, &minio.Options{
		Creds:  credentials.NewStaticV4(c.String("access_key"), c.String("secret_key"), c.String("session_token")),
		Secure: c.Bool("use_ssl"), Transport: b.transport, Region: c.String("region"), BucketLookup: lookup, MaxRetries: tries,
	})
	if err != nil {
		return nil, connectors.Fail(connectors.InvalidConfig, err, "endpoint")
	}
	return b, nil
}

// bucket is one bucket of a store.
type bucket struct {
	asker     *client
	client    *minio.Client
	transport *http.Transport
}

// Close implements connectors.Bucket.
func (b *bucket) Close() error {
	b.transport.CloseIdleConnections()
	return nil
}

// Put implements connectors.Bucket.
func (b *bucket) Put(ctx context.Context, key string, r io.Reader, expected int64) error {
	source := &source{r: r}
	_, err := b.client.PutObject(ctx, b.asker.bucket, key, source, -1, minio.PutObjectOptions{
		PartSize: max(partSize, uint64(expected)/parts), ContentType: "application/octet-stream",
	})
	if err == nil {
		return nil
	}
	// The client gives its upload up, but not when it does not know of it,
	// because the answer that names it was lost.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	abortErr := b.abort(end, key)
	if source.err != nil {
		return source.err
	}
	return errors.Join(b.failure(err), abortErr)
}

// source remembers why reading ended early.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// Get implements connectors.Bucket.
func (b *bucket) Get(ctx context.Context, key string) (io.ReadCloser, int64, error) {
	body, info, _, err := minio.Core{Client: b.client}.GetObject(ctx, b.asker.bucket, key, minio.GetObjectOptions{})
	if code := minio.ToErrorResponse(err).Code; code == minio.NoSuchKey {
		return nil, 0, fmt.Errorf("%s: %w", key, connectors.ErrNoObject)
	}
	if err != nil {
		return nil, 0, b.failure(err)
	}
	return &object{body, b}, info.Size, nil
}

// object tells what breaks its body off.
type object struct {
	io.ReadCloser
	bucket *bucket
}

func (o *object) Read(p []byte) (int, error) {
	n, err := o.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = o.bucket.failure(err)
	}
	return n, err
}

// Remove implements connectors.Bucket.
func (b *bucket) Remove(ctx context.Context, key string) error {
	if err := b.abort(ctx, key); err != nil {
		return err
	}
	return b.failure(b.client.RemoveObject(ctx, b.asker.bucket, key, minio.RemoveObjectOptions{}))
}

// abort ends the uploads of an object that were cut off. Keys that may not
// list them can do nothing about them.
func (b *bucket) abort(ctx context.Context, key string) error {
	err := b.client.RemoveIncompleteUpload(ctx, b.asker.bucket, key)
	if code := minio.ToErrorResponse(err).Code; code == minio.AccessDenied || code == minio.NoSuchUpload || code == minio.NotImplemented {
		return nil
	}
	return b.failure(err)
}

// failure tells what an error of the client amounts to.
func (b *bucket) failure(err error) error {
	if err == nil {
		return nil
	}
	var said minio.ErrorResponse
	if errors.As(err, &said) && said.Code != "" {
		f := b.asker.refusal(&answer{status: said.StatusCode, header: http.Header{}, fault: s3Error{Code: said.Code, Message: said.Message, Region: said.Region}})
		if said.Code == minio.AccessDenied {
			return connectors.Fail(connectors.PermissionDenied, err, "the keys may not read or write objects in the bucket %s", b.asker.bucket)
		}
		return f
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	address := b.asker.endpoint.address(b.asker.endpoint.host, b.asker.c.Bool("use_ssl"))
	return connectors.Classify(err, address, New().Spec().Secrets(b.asker.c)...)
}

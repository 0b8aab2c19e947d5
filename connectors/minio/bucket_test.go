package minio_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/backplane/backplane/connectors"
	store "github.com/backplane/backplane/connectors/minio"
	"github.com/backplane/backplane/testbed"
)

func openBucket(t *testing.T, env connectors.Env, config map[string]any) connectors.Bucket {
	t.Helper()
	c, faults := store.New().Spec().Validate(config, env)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	b, err := store.New().OpenBucket(env, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// left counts what is in a bucket, also of uploads that were cut off.
func left(t *testing.T, s *testbed.MinIO, name string) (n int) {
	t.Helper()
	for o := range s.Client(t).ListObjects(t.Context(), name, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		n++
	}
	for o := range s.Client(t).ListIncompleteUploads(t.Context(), name, "", true) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		n++
	}
	return n
}

func TestBucket(t *testing.T) {
	t.Parallel()
	ca := testbed.NewCA(t)
	cert := ca.Issue(t, "127.0.0.1")
	for name, s := range map[string]*testbed.MinIO{"http": testbed.StartMinIO(t, testbed.MinIOOptions{}), "https": testbed.StartMinIO(t, testbed.MinIOOptions{Cert: &cert, CA: ca})} {
		t.Run(name, func(t *testing.T) { keeps(t, s, name == "https", ca.PEM) })
	}
}

func keeps(t *testing.T, s *testbed.MinIO, tls bool, ca string) {
	s.Bucket(t, "snapshots")
	config := map[string]any{"endpoint": testbed.Addr(s.Port), "access_key": s.AccessKey, "secret_key": s.SecretKey, "bucket": "snapshots", "use_ssl": tls}
	if tls {
		config["tls_ca"] = ca
	}
	b := openBucket(t, connectors.Env{}, config)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	content := bytes.Repeat([]byte("0123456789abcdef"), 40<<20/16) // three parts
	if err := b.Put(ctx, "a/b c.snapshot", iotest.HalfReader(bytes.NewReader(content)), 0); err != nil {
		t.Fatal(err)
	}
	body, size, err := b.Get(ctx, "a/b c.snapshot")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(body)
	body.Close()
	if err != nil || size != int64(len(content)) || !bytes.Equal(got, content) {
		t.Errorf("%d of %d bytes came back: %v", len(got), size, err)
	}
	for range 2 { // also when it is gone
		if err := b.Remove(ctx, "a/b c.snapshot"); err != nil || left(t, s, "snapshots") != 0 {
			t.Errorf("%v, %d are left", err, left(t, s, "snapshots"))
		}
	}
	if _, _, err := b.Get(ctx, "a/b c.snapshot"); !errors.Is(err, connectors.ErrNoObject) {
		t.Errorf("what is gone: %v", err)
	}

	broken := errors.New("the dump broke off")
	err = b.Put(ctx, "half", io.MultiReader(bytes.NewReader(content[:20<<20]), iotest.ErrReader(broken)), 0)
	if !errors.Is(err, broken) || left(t, s, "snapshots") != 0 {
		t.Errorf("%v, %d are left", err, left(t, s, "snapshots"))
	}
	// What a program that was killed leaves.
	core := minio.Core{Client: s.Client(t)}
	id, err := core.NewMultipartUpload(ctx, "snapshots", "half", minio.PutObjectOptions{})
	if err == nil {
		_, err = core.PutObjectPart(ctx, "snapshots", "half", id, 1, strings.NewReader("part"), 4, minio.PutObjectPartOptions{})
	}
	if err != nil || left(t, s, "snapshots") != 1 {
		t.Fatalf("%v, %d uploads are cut off", err, left(t, s, "snapshots"))
	}
	if err := b.Remove(ctx, "half"); err != nil || left(t, s, "snapshots") != 0 {
		t.Errorf("%v, %d are left", err, left(t, s, "snapshots"))
	}
	refusals(ctx, t, s, config)
}

func refusals(ctx context.Context, t *testing.T, s *testbed.MinIO, config map[string]any) {
	with := func(field string, value any) map[string]any {
		out := map[string]any{field: value}
		for k, v := range config {
			if k != field {
				out[k] = v
			}
		}
		return out
	}
	denied := connectors.Env{Deny: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	for name, c := range map[string]struct {
		env     connectors.Env
		config  map[string]any
		code    connectors.Code
		mayPass bool
	}{
		"denied address": {denied, config, connectors.TargetDenied, false},
		"wrong key":      {connectors.Env{}, with("secret_key", "not this one"), connectors.AuthFailed, false},
		"no bucket":      {connectors.Env{}, with("bucket", "nowhere"), connectors.BucketMissing, false},
		"nobody there":   {connectors.Env{}, with("endpoint", testbed.Addr(testbed.FreePort(t))), connectors.Refused, true},
	} {
		b := openBucket(t, c.env, c.config)
		for what, err := range map[string]error{
			"put":    b.Put(ctx, "key", strings.NewReader("content"), 0),
			"get":    second(b.Get(ctx, "key")),
			"remove": b.Remove(ctx, "key"),
		} {
			var f *connectors.Failure
			if !errors.As(err, &f) || f.Code != c.code || connectors.MayPass(err) != c.mayPass {
				t.Errorf("%s, %s: %v", name, what, err)
			}
			if err != nil && strings.Contains(err.Error(), s.SecretKey) {
				t.Errorf("%s, %s tells the key", name, what)
			}
		}
	}
	c, _ := store.New().Spec().Validate(map[string]any{"endpoint": "x", "access_key": "x", "secret_key": "x"}, connectors.Env{})
	if _, err := store.New().OpenBucket(connectors.Env{}, c); err == nil {
		t.Error("a bucket without a name is opened")
	}
}

func second(_ io.ReadCloser, _ int64, err error) error { return err }

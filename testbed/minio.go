package testbed

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// MinIOOptions says what a MinIO server should be like. The zero value serves
// plain HTTP.
type MinIOOptions struct {
	Cert   *Cert  // serves HTTPS with this certificate instead
	CA     *CA    // authority of Cert, for the methods here
	Region string // "" for us-east-1, with any region accepted
}

// MinIO is a running MinIO server with one drive and no buckets.
type MinIO struct {
	*Running
	Port      int
	AccessKey string // of the administrator
	SecretKey string // NastyPassword

	secure bool
	http   http.RoundTripper
}

// StartMinIO starts the MinIO server that install.sh built, until t ends.
func StartMinIO(t TB, o MinIOOptions) *MinIO {
	t.Helper()
	dir := Folder(t, "")
	s := &MinIO{Port: FreePort(t), AccessKey: "backplane", SecretKey: NastyPassword, secure: o.Cert != nil}
	certs := filepath.Join(dir, "certs")
	mkdir(t, certs)
	if o.Cert != nil {
		cert, key := o.Cert.Files(t, dir, "server", "")
		link(t, cert, filepath.Join(certs, "public.crt"))
		link(t, key, filepath.Join(certs, "private.key"))
	}
	s.http = clientTransport(t, o.CA)
	s.Running = Start(t, Process{
		Path: Built(t, "minio"),
		Args: []string{"server", "--quiet", "--address", Addr(s.Port), "--certs-dir", certs, filepath.Join(dir, "data")},
		Dir:  dir,
		Env: []string{"MINIO_ROOT_USER=" + s.AccessKey, "MINIO_ROOT_PASSWORD=" + s.SecretKey, "MINIO_REGION=" + o.Region,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off", "GOMEMLIMIT=256MiB"},
		Ready: s.ready,
		Stop:  syscall.SIGKILL, // its drive is thrown away
	})
	return s
}

func (s *MinIO) url() string {
	if s.secure {
		return "https://" + Addr(s.Port)
	}
	return "http://" + Addr(s.Port)
}

func (s *MinIO) ready(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url()+"/minio/health/ready", nil)
	if err != nil {
		return err
	}
	resp, err := s.http.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", resp.Status)
	}
	return nil
}

// Client returns an administrator's client.
func (s *MinIO) Client(t TB) *minio.Client {
	t.Helper()
	c, err := minio.New(Addr(s.Port), &minio.Options{
		Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""), Secure: s.secure, Transport: s.http, Region: "us-east-1",
	})
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	return c
}

// Bucket makes a bucket.
func (s *MinIO) Bucket(t TB, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := s.Client(t).MakeBucket(ctx, name, minio.MakeBucketOptions{}); err != nil {
		t.Fatalf("testbed: bucket %s: %v", name, err)
	}
}

// TemporaryKeys are keys with a session token.
type TemporaryKeys struct{ AccessKey, SecretKey, SessionToken string }

// Limited returns temporary keys that may do what policy (an IAM policy in
// JSON) allows, and nothing else.
func (s *MinIO) Limited(t TB, policy string) TemporaryKeys {
	t.Helper()
	creds := credentials.New(&credentials.STSAssumeRole{
		STSEndpoint: s.url(), Client: &http.Client{Transport: s.http},
		Options: credentials.STSAssumeRoleOptions{
			AccessKey: s.AccessKey, SecretKey: s.SecretKey, Policy: policy, DurationSeconds: int(time.Hour.Seconds()),
		},
	})
	v, err := creds.GetWithContext(nil)
	if err != nil {
		t.Fatalf("testbed: temporary keys at port %s: %v", strconv.Itoa(s.Port), err)
	}
	return TemporaryKeys{v.AccessKeyID, v.SecretAccessKey, v.SessionToken}
}

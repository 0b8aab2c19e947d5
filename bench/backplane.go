package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

const password = "benchmark-password"

// authorization is the header that logs the benchmark in.
var authorization = basic("admin", password)

// basic is the Authorization header of a user.
func basic(username, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}

// loggedIn is the context of a gRPC call by the benchmark.
func loggedIn() context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), "authorization", authorization)
}

// connect makes a gRPC connection from an address of this machine, nil for any.
func connect(o *owner, addr string, from net.IP) *grpc.ClientConn {
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return dialer(from).DialContext(ctx, "tcp", addr)
		}))
	o.must(err)
	return conn
}

// dialer dials from an address of this machine, nil for any.
func dialer(from net.IP) *net.Dialer {
	if from == nil {
		return &net.Dialer{}
	}
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}
}

// backplane is a running Backplane: the real program, in its own process.
type backplane struct {
	*process
	rest, grpc string
}

// buildBackplane builds the program as `make build` does, into dir.
func buildBackplane(o *owner, dir string) string {
	path := filepath.Join(dir, "backplane")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "./cmd/backplane")
	if out, err := cmd.CombinedOutput(); err != nil {
		o.Fatalf("build Backplane (run this from the repository's root): %v\n%s", err, out)
	}
	return path
}

// startBackplane runs Backplane on a data directory; store is "" for SQLite.
// More arguments come after the usual ones, and win.
func startBackplane(o *owner, program, dataDir, store string, more ...string) *backplane {
	b := &backplane{rest: freeAddr(o), grpc: freeAddr(o)}
	env := []string{"BACKPLANE_ADMIN_PASSWORD=" + password, "GOMAXPROCS=" + os.Getenv("GOMAXPROCS")}
	b.process = start(o, env, answers("http://"+b.rest+"/readyz"), program, append([]string{"serve", "--data-dir", dataDir,
		"--store", store, "--rest-addr", b.rest, "--grpc-addr", b.grpc, "--gateway-http", "none", "--gateway-https", "none", "--log-level", "error"}, more...)...)
	return b
}

// login makes the server verify the password, so that no measure pays for it.
func (b *backplane) login(o *owner) { b.get(o, "/api/services?limit=1") }

// get is one REST call; it must succeed.
func (b *backplane) get(o *owner, path string) (http.Header, []byte) {
	req, err := http.NewRequest(http.MethodGet, "http://"+b.rest+path, nil)
	o.must(err)
	req.Header.Set("Authorization", authorization)
	resp, err := http.DefaultClient.Do(req)
	o.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	o.must(err)
	if resp.StatusCode != http.StatusOK {
		o.Fatalf("GET %s: %s: %s", path, resp.Status, body)
	}
	return resp.Header, body
}

// answers succeeds when a GET of the URL does.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: %s", url, resp.Status)
		}
		return nil
	}
}

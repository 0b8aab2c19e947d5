package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
)

// caller asks who it is, over one connection that is open already.
type caller struct {
	// whoAmI reports whether the login was good.
	whoAmI func(ctx context.Context, authorization string) (bool, error)
	close  func()
}

// timed is one call, in ms; the login must be good or not as expected.
func (c *caller) timed(o *owner, username, password string, good bool) float64 {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	began := time.Now()
	ok, err := c.whoAmI(ctx, basic(username, password))
	took := time.Since(began)
	o.must(err)
	if ok != good {
		o.Fatalf("the login of %s: let in is %v, want %v", username, ok, good)
	}
	return float64(took.Nanoseconds()) / 1e6
}

func dialGRPC(o *owner, b *backplane, from net.IP) *caller {
	conn := connect(o, b.grpc, from)
	_, err := catalogv1.NewServiceCatalogClient(conn).GetHealth(context.Background(), &catalogv1.GetHealthRequest{})
	o.must(err)
	client := identityv1.NewIdentityAdminClient(conn)
	return &caller{
		whoAmI: func(ctx context.Context, authorization string) (bool, error) {
			_, err := client.WhoAmI(metadata.AppendToOutgoingContext(ctx, "authorization", authorization), &identityv1.WhoAmIRequest{})
			if status.Code(err) == codes.Unauthenticated {
				return false, nil
			}
			return err == nil, err
		},
		close: func() { conn.Close() },
	}
}

func dialREST(o *owner, b *backplane, from net.IP) *caller {
	transport := &http.Transport{DialContext: dialer(from).DialContext, MaxConnsPerHost: 1}
	client := &http.Client{Transport: transport}
	get := func(ctx context.Context, path, authorization string) (int, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.rest+path, nil)
		if err != nil {
			return 0, err
		}
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, err
	}
	_, err := get(context.Background(), "/healthz", "")
	o.must(err)
	return &caller{
		whoAmI: func(ctx context.Context, authorization string) (bool, error) {
			code, err := get(ctx, "/api/whoami", authorization)
			if err == nil && code != http.StatusOK && code != http.StatusUnauthorized {
				err = errors.New("GET /api/whoami: " + http.StatusText(code))
			}
			return code == http.StatusOK, err
		},
		close: transport.CloseIdleConnections,
	}
}

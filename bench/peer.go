package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
)

// A bare peer is this program again, started as `bench peer KIND ADDR FILE`. It
// answers every call with the reply in FILE and does nothing else.
const peerCommand = "peer"

// reply is what a bare peer answers.
type reply struct {
	Header http.Header // REST
	Body   []byte      // REST: the body; gRPC: the message
}

// startPeer runs a bare peer that gives the reply.
func startPeer(o *owner, dir, kind string, r reply) (*process, string) {
	file := filepath.Join(dir, "reply-"+kind)
	text, err := json.Marshal(r)
	o.must(err)
	o.must(os.WriteFile(file, text, 0o600))
	self, err := os.Executable()
	o.must(err)
	addr := freeAddr(o)
	ready := func(ctx context.Context) error {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		return c.Close()
	}
	env := []string{"GOMAXPROCS=" + os.Getenv("GOMAXPROCS")}
	return start(o, env, ready, self, peerCommand, kind, addr, file), addr
}

// servePeer is the main function of a bare peer.
func servePeer(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: peer KIND ADDR FILE")
	}
	text, err := os.ReadFile(args[2])
	if err != nil {
		return err
	}
	var r reply
	if err := json.Unmarshal(text, &r); err != nil {
		return err
	}
	l, err := net.Listen("tcp", args[1])
	if err != nil {
		return err
	}
	switch args[0] {
	case "rest":
		return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			for k, v := range r.Header {
				h[k] = v
			}
			w.Write(r.Body) //nolint:errcheck // the client has gone
		}))
	case "grpc":
		p := &barePeer{reply: &catalogv1.GetServiceResponse{}}
		if err := proto.Unmarshal(r.Body, p.reply); err != nil {
			return err
		}
		s := grpc.NewServer(grpc.MaxConcurrentStreams(1000))
		catalogv1.RegisterServiceCatalogServer(s, p)
		return s.Serve(l)
	}
	return fmt.Errorf("no bare peer of kind %q", args[0])
}

type barePeer struct {
	catalogv1.UnimplementedServiceCatalogServer
	reply *catalogv1.GetServiceResponse
}

// GetService implements the RPC.
func (p *barePeer) GetService(context.Context, *catalogv1.GetServiceRequest) (*catalogv1.GetServiceResponse, error) {
	return p.reply, nil
}

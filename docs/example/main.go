// Command example does over gRPC what the tour in README.md does with curl: it
// registers a service, tests its connection and follows the changes.
package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"log"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/structpb"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
)

func main() {
	if err := tour(context.Background(), "127.0.0.1:9090", "admin", os.Getenv("PASSWORD")); err != nil {
		log.Fatal(err)
	}
}

func tour(ctx context.Context, address, user, password string) error {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	client := catalogv1.NewServiceCatalogClient(conn)
	// The same login as over REST, in the call's metadata.
	login := "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", login)

	config, err := structpb.NewStruct(map[string]any{"path": "/tmp/notes.db"})
	if err != nil {
		return err
	}
	created, err := client.CreateService(ctx, &catalogv1.CreateServiceRequest{
		Service: &catalogv1.Service{Name: "Notes", ServiceType: "sqlite", Config: config},
	})
	if err != nil {
		return err
	}
	id := created.GetData().GetId()
	tested, err := client.TestService(ctx, &catalogv1.TestServiceRequest{Id: id})
	if err != nil {
		return err
	}
	fmt.Println(id, tested.GetData().GetConnected(), tested.GetData().GetMessage())

	from := uint64(1) // everything since the catalogue was empty
	changes, err := client.WatchServices(ctx, &catalogv1.WatchServicesRequest{Index: &from})
	if err != nil {
		return err
	}
	for {
		change, err := changes.Recv()
		if err != nil {
			return err
		}
		fmt.Println(change.GetIndex(), change.GetEvent(), change.GetService().GetName())
		if change.GetEvent() == "health" && change.GetService().GetId() == id {
			_, err := client.DeleteService(ctx, &catalogv1.DeleteServiceRequest{Id: id})
			return err
		}
	}
}

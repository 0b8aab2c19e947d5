package server_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// methodsOf finds the full method names of a service in the files that
// reflection returned for it.
func methodsOf(t *testing.T, service string, files [][]byte) (methods []string) {
	t.Helper()
	for _, raw := range files {
		file := &descriptorpb.FileDescriptorProto{}
		if err := proto.Unmarshal(raw, file); err != nil {
			t.Fatal(err)
		}
		for _, svc := range file.GetService() {
			if file.GetPackage()+"."+svc.GetName() != service {
				continue
			}
			for _, m := range svc.GetMethod() {
				methods = append(methods, "/"+service+"/"+m.GetName())
			}
		}
	}
	return methods
}

package requesttransformer

import "github.com/backplane/backplane/dataplane/httpproxy/plugin/transform"

func edit(name, value string) transform.Edit { return transform.Edit{Name: name, Value: value} }

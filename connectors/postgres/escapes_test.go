package postgres_test

import "github.com/backplane/backplane/connectors/conformance"

func escapes() []conformance.Escape { return nil }

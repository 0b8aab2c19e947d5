package httplog

import (
	"log/slog"
	"testing"
)

func newLog(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

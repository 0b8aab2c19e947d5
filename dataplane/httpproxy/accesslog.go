package httpproxy

import (
	"context"
	"encoding/hex"
	"log/slog"
	"strings"
)

// logAccess writes a line about an Exchange that has ended; err is that the
// response could not be sent. Queries are left out, since there are keys in
// some.
func (p *Proxy) logAccess(x *Exchange, err error) {
	l := p.options.AccessLog
	ctx := context.Background() // that of the Exchange may have ended
	if l == nil || !l.Enabled(ctx, slog.LevelInfo) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 20),
		slog.String("request_id", x.ID),
		slog.String("client", x.Request.Client.String()),
		slog.String("method", x.Request.Method),
		slog.String("scheme", x.Request.Scheme),
		slog.String("host", x.Request.Host),
		slog.String("path", x.Request.RawPath),
		slog.Int("http", x.Request.ProtoMajor),
		slog.Int("status", x.Response.Status),
		slog.Int64("sent", x.Response.Sent),
		slog.String("source", x.Response.Source.String()),
		slog.Duration("took", x.Ended.Sub(x.Started)),
		slog.Int("tries", len(x.Tries)),
	)
	if x.Route != nil {
		attrs = append(attrs, slog.String("route", nameOr(x.Route.Name, x.Route.ID.String())))
	}
	if x.Service != nil {
		attrs = append(attrs, slog.String("service", nameOr(x.Service.Name, x.Service.ID.String())))
	}
	if n := len(x.Tries); n > 0 {
		attrs = append(attrs, slog.String("upstream", x.Tries[n-1].Address))
		if x.Response.Source == FromService {
			attrs = append(attrs, slog.Duration("upstream_took", x.HeadReceived.Sub(x.Tries[0].Began)))
		}
	}
	if x.Consumer != nil {
		attrs = append(attrs, slog.String("consumer", nameOr(x.Consumer.Username, x.Consumer.ID.String())))
	}
	if id := traceID(x.Request.Header.Get("Traceparent")); id != "" {
		attrs = append(attrs, slog.String("trace_id", id))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	l.LogAttrs(ctx, slog.LevelInfo, "request", attrs...)
}

func nameOr(name, id string) string {
	if name != "" {
		return name
	}
	return id
}

// traceID is the trace that a traceparent names, "" if it is not valid (W3C
// Trace Context, 3.2).
func traceID(parent string) string {
	if len(parent) < 55 || parent[2] != '-' || parent[35] != '-' || parent[52] != '-' {
		return ""
	}
	id := parent[3:35]
	if _, err := hex.DecodeString(id); err != nil || strings.Trim(id, "0") == "" || strings.ToLower(id) != id {
		return ""
	}
	return id
}

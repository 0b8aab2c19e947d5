package proxy

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/dbaas"
)

const (
	linesOnPage    = 50
	maxLinesOnPage = 10_000
)

// logSettings are the settings that are about the log.
func logSettings() []string {
	return []string{"log_debug", "log_info", "log_notice", "log_throttling", "log_warning", "maxlog", "ms_timestamp", "syslog"}
}

// logged are the priorities that are logged.
func (e *estate) logged() (out []string) {
	for _, priority := range priorities() {
		if priority == "alert" || priority == "error" || e.program.set.Bool("log_"+priority) {
			out = append(out, priority)
		}
	}
	return out
}

// applyLog makes the log keep what the settings say.
func (p *Proxy) applyLog(e *estate) {
	logged := e.logged()
	p.Lines.leaveOut(slices.DeleteFunc(priorities(), func(priority string) bool { return slices.Contains(logged, priority) }))
}

// GetLogs implements the RPC.
func (p *Proxy) GetLogs(ctx context.Context, _ *proxyv1.GetLogsRequest) (*proxyv1.LogsDocument, error) {
	e, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	report, shown := e.program.set.Report(), map[string]any{}
	for _, name := range logSettings() {
		shown[name] = report[name]
	}
	params, err := structOf(shown)
	if err != nil {
		return nil, err
	}
	at := linksOf(ctx).collection("maxscale/logs")
	return &proxyv1.LogsDocument{Links: self(at), Data: &proxyv1.Logs{
		Id: "logs", Type: "logs", Attributes: &proxyv1.LogsAttributes{LogPriorities: e.logged(), Parameters: params},
		Relationships: &proxyv1.Relationships{}, Links: self(at),
	}}, p.tell(ctx, e.program.stamp())
}

// logPage reads the lines that a request asks for.
func (p *Proxy) logPage(req *proxyv1.GetLogDataRequest) ([]line, bool, error) {
	size := int(req.GetPageSize())
	if size == 0 {
		size = linesOnPage
	}
	before := uint64(0)
	if text := req.GetPageCursor(); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return nil, false, invalid("page[cursor]", "must be a number, as the links of an answer have it")
		}
		before = n
	}
	lines, more := p.Lines.page(before, min(size, maxLinesOnPage), wantedPriorities(req.GetPriority()))
	return lines, more, nil
}

func wantedPriorities(text string) (out []string) {
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			out = append(out, strings.ToLower(word))
		}
	}
	return out
}

// logLinks are the links of a page of the log.
func logLinks(at string, req *proxyv1.GetLogDataRequest, lines []line, more bool) *proxyv1.Links {
	page := func(cursor uint64) *string {
		q := url.Values{}
		if req.GetPageSize() > 0 {
			q.Set("page[size]", strconv.FormatUint(uint64(req.GetPageSize()), 10))
		}
		if cursor > 0 {
			q.Set("page[cursor]", strconv.FormatUint(cursor, 10))
		}
		if req.GetPriority() != "" {
			q.Set("priority", req.GetPriority())
		}
		if len(q) == 0 {
			return proto.String(at)
		}
		return proto.String(at + "?" + q.Encode())
	}
	out := &proxyv1.Links{Self: at, Last: page(0)}
	if more && len(lines) > 0 {
		out.Prev = page(lines[0].id)
	}
	return out
}

// show is a line as a message.
func (n line) show() *proxyv1.LogLine {
	return &proxyv1.LogLine{
		Id: strconv.FormatUint(n.id, 10), Message: n.message, Priority: n.priority,
		Timestamp: n.at.UTC().Format("2006-01-02 15:04:05"), UnixTimestamp: n.at.Unix(),
	}
}

// logSource is where the log is read; "" when nothing is logged.
func (e *estate) logSource() string {
	switch {
	case e.program.set.Bool("maxlog"):
		return "maxlog"
	case e.program.set.Bool("syslog"):
		return "syslog"
	}
	return ""
}

// GetLogData implements the RPC.
func (p *Proxy) GetLogData(ctx context.Context, req *proxyv1.GetLogDataRequest) (*proxyv1.LogDataDocument, error) {
	e, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	lines, more, err := p.logPage(req)
	if err != nil {
		return nil, err
	}
	a := &proxyv1.LogDataAttributes{}
	if source := e.logSource(); source != "" {
		a.Log, a.LogSource = &structpb.ListValue{}, proto.String(source)
		for _, n := range lines {
			v, err := valueOf(map[string]any{
				"id": strconv.FormatUint(n.id, 10), "message": n.message, "priority": n.priority,
				"timestamp": n.show().GetTimestamp(), "unix_timestamp": n.at.Unix(),
			})
			if err != nil {
				return nil, err
			}
			a.Log.Values = append(a.Log.Values, v)
		}
	}
	at := linksOf(ctx).collection("maxscale/logs/data")
	return &proxyv1.LogDataDocument{Links: logLinks(at, req, lines, more), Data: &proxyv1.LogData{
		Id: "log_data", Type: "log_data", Attributes: a, Relationships: &proxyv1.Relationships{}, Links: self(at),
	}}, nil
}

// ListLogEntries implements the RPC.
func (p *Proxy) ListLogEntries(ctx context.Context, req *proxyv1.GetLogDataRequest) (*proxyv1.LogEntryCollection, error) {
	e, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	lines, more, err := p.logPage(req)
	if err != nil {
		return nil, err
	}
	at := linksOf(ctx).collection("maxscale/logs/entries")
	out := &proxyv1.LogEntryCollection{Links: logLinks(at, req, lines, more), Meta: &proxyv1.LogEntryMeta{Total: int64(len(lines))}}
	source := e.logSource()
	if source == "" {
		return out, nil
	}
	for _, n := range lines {
		shown := n.show()
		out.Data = append(out.Data, &proxyv1.LogEntry{
			Id: shown.GetId(), Type: "log_entry", Relationships: &proxyv1.Relationships{}, Links: self(at),
			Attributes: &proxyv1.LogEntryAttributes{
				Message: shown.GetMessage(), Priority: shown.GetPriority(), Timestamp: shown.GetTimestamp(), UnixTimestamp: shown.GetUnixTimestamp(), LogSource: source,
			},
		})
	}
	return out, nil
}

// WatchLogs implements the RPC.
func (p *Proxy) WatchLogs(req *proxyv1.WatchLogsRequest, stream grpc.ServerStreamingServer[proxyv1.LogLine]) error {
	of := wantedPriorities(req.GetPriority())
	_, at, _ := p.Lines.after(0, of)
	if text := req.GetPageCursor(); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return invalid("page_cursor", "must be the id of a line")
		}
		at = n
	}
	// The caller learns at once that the watch has begun.
	if err := stream.SendHeader(metadata.Pairs(dbaas.WatchingKey, "true")); err != nil {
		return err
	}
	for {
		lines, last, grown := p.Lines.after(at, of)
		if err := auth.Recheck(stream.Context()); err != nil {
			return err
		}
		for _, n := range lines {
			if err := stream.Send(n.show()); err != nil {
				return err
			}
		}
		at = max(at, last)
		select {
		case <-grown:
		case <-p.Ending:
			return nil
		case <-stream.Context().Done():
			return context.Cause(stream.Context())
		}
	}
}

// FlushLogs implements the RPC. Every line of the program's own log is written at
// once; filters write what they hold back, and open their files anew.
func (p *Proxy) FlushLogs(context.Context, *proxyv1.FlushLogsRequest) (*proxyv1.Changed, error) {
	if err := p.plane.Rotate(); err != nil {
		return nil, &errs.Error{Reason: errs.Unavailable, Message: "Lines that were held back could not be written; the log says why", Err: err}
	}
	return &proxyv1.Changed{}, nil
}

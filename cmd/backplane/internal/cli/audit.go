package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
)

func auditColumns() []column[*identityv1.AuditRecord] {
	return []column[*identityv1.AuditRecord]{
		{"ID", func(r *identityv1.AuditRecord) string { return strconv.FormatUint(r.GetId(), 10) }},
		{"AT", func(r *identityv1.AuditRecord) string { return instantText(r.GetAt()) }},
		{"ACTOR", (*identityv1.AuditRecord).GetActor},
		{"ADDRESS", (*identityv1.AuditRecord).GetAddress},
		{"ACTION", (*identityv1.AuditRecord).GetAction},
		{"RESOURCE", resourceText},
		{"PROJECT", (*identityv1.AuditRecord).GetProject},
		{"CHANGED", changedText},
	}
}

func resourceText(r *identityv1.AuditRecord) string {
	name := r.GetResourceName()
	if name == "" {
		name = r.GetResourceId()
	}
	return strings.TrimSpace(r.GetResourceKind() + " " + name)
}

func changedText(r *identityv1.AuditRecord) string {
	fields := make([]string, len(r.GetChanges()))
	for i, c := range r.GetChanges() {
		fields[i] = c.GetField()
	}
	return strings.Join(fields, ",")
}

func auditTrail() *cobra.Command {
	cmd, t := group("audit", "Read the record of what was done")
	cmd.AddCommand(
		listAudit(t),
		verifyAudit(t),
		watchAudit(t),
	)
	return cmd
}

func listAudit(t *target) *cobra.Command {
	var req identityv1.ListAuditRequest
	var since, until string
	cmd := &cobra.Command{
		Use: "list", Short: "List what was done, newest first", Args: cobra.NoArgs,
		RunE: t.call(func(ctx context.Context, s *session, _ []string) error {
			resp, err := s.ListAudit(ctx, &req)
			if err != nil {
				return err
			}
			return list(s.printer, resp.GetData(), auditColumns())
		}),
		PreRunE: func(*cobra.Command, []string) error {
			var sinceErr, untilErr error
			now := time.Now()
			req.Since, sinceErr = instant("--since", since, now)
			req.Until, untilErr = instant("--until", until, now)
			return errors.Join(sinceErr, untilErr)
		},
	}
	f := cmd.Flags()
	f.Uint32Var(&req.Limit, "limit", 100, "records at most, 1 to 1000")
	f.Uint64Var(&req.Before, "before", 0, "only records before this one")
	f.StringVar(&req.Actor, "actor", "", "only what this user did")
	f.StringVar(&req.Action, "action", "", "only this call, such as CreateService")
	f.StringVar(&req.ResourceId, "resource-id", "", "only what concerns this resource")
	f.StringVar(&req.Project, "project", "", "only what concerns this project")
	f.StringVar(&since, "since", "", "only since then: 2006-01-02T15:04:05Z, or 7d, 12h or 30m ago")
	f.StringVar(&until, "until", "", "only until then, written the same way")
	return cmd
}

// instant reads a time, or how long ago it was, and writes it for the server.
func instant(flag, text string, now time.Time) (string, error) {
	if text == "" {
		return "", nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.Format(time.RFC3339Nano), nil
	}
	ago, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16)
		ago = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || ago < 0 {
		return "", fmt.Errorf("%s %q must be a time such as 2006-01-02T15:04:05Z, or 7d, 12h or 30m", flag, text)
	}
	return now.Add(-ago).UTC().Format(time.RFC3339Nano), nil
}

func watchAudit(t *target) *cobra.Command {
	var from uint64
	cmd := &cobra.Command{Use: "watch", Short: "Show what is done, as it is done, until interrupted", Args: cobra.NoArgs}
	cmd.Flags().Uint64Var(&from, "from", 0, "begin after this record instead of now")
	cmd.RunE = t.call(func(ctx context.Context, s *session, _ []string) error {
		req := &identityv1.WatchAuditRequest{}
		if cmd.Flags().Changed("from") {
			req.Index = &from
		}
		stream, err := s.WatchAudit(ctx, req)
		if err != nil {
			return err
		}
		for {
			event, err := stream.Recv()
			switch {
			case ctx.Err() != nil: // that is how one ends it
				return nil
			case errors.Is(err, io.EOF):
				return errors.New("the server ended the watch")
			case err != nil:
				return err
			}
			if err := s.record(event.GetRecord()); err != nil {
				return err
			}
		}
	})
	return cmd
}

// record shows a record on a line of its own, at once.
func (p printer) record(r *identityv1.AuditRecord) error {
	if p.json {
		return p.writeJSONLine(messageJSON(r.ProtoReflect()))
	}
	var cells []string
	for _, c := range auditColumns() {
		cells = append(cells, cell(c.value(r)))
	}
	_, err := fmt.Fprintln(p.out, strings.Join(cells, "  "))
	return err
}

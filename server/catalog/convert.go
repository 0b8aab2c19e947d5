package catalog

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/schema"
	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	"github.com/backplane/backplane/internal/errs"
)

// pauseAfterAuthFailures stops the monitor before an account is locked out.
const pauseAfterAuthFailures = 3

// seconds is a stored time as the API shows it: whole seconds.
func seconds(us int64) *timestamppb.Timestamp {
	if us == 0 {
		return nil
	}
	return &timestamppb.Timestamp{Seconds: time.UnixMicro(us).Unix()}
}

func duration(us int64) *durationpb.Duration {
	if us == 0 {
		return nil
	}
	return durationpb.New(time.Duration(us) * time.Microsecond)
}

// toProto is a stored service as the API shows it: without secrets, with the
// defaults that apply.
func (c *Catalog) toProto(row *ent.Service) (*catalogv1.Service, error) {
	s, err := c.snapshotToProto(row.ServiceType, snapshotOf(row))
	if err != nil {
		return nil, fmt.Errorf("service %s: %w", row.ID, err)
	}
	s.Id = row.ID.String()
	s.CreatedAt, s.UpdatedAt = seconds(row.CreatedAt), seconds(row.UpdatedAt)
	s.Version = row.Version
	s.Active = proto.Bool(row.Active)
	s.Project = row.Project
	s.Health = healthToProto(row)
	return s, nil
}

func (c *Catalog) snapshotToProto(serviceType string, snap schema.Snapshot) (*catalogv1.Service, error) {
	conn, err := c.connector(serviceType)
	if err != nil {
		return nil, err
	}
	spec := conn.Spec()
	shown := map[string]any{}
	for k, v := range spec.WithDefaults(snap.Config) {
		if f, _ := spec.Field(k); f.Secret {
			continue // never stored in clear, and never shown
		}
		switch v := v.(type) {
		case []string:
			list := make([]any, len(v))
			for i, e := range v {
				list[i] = e
			}
			shown[k] = list
		default:
			shown[k] = v
		}
	}
	config, err := structpb.NewStruct(shown)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	s := &catalogv1.Service{
		Name: snap.Name, ServiceType: serviceType, Config: config, Enabled: proto.Bool(snap.Enabled),
		SecretsSet:  slices.Sorted(maps.Keys(snap.Sealed)),
		Description: snap.Description, Tags: snap.Tags, Labels: snap.Labels,
	}
	if snap.CheckIntervalUs > 0 {
		s.Check = &catalogv1.Check{
			Interval: duration(snap.CheckIntervalUs), Timeout: duration(snap.CheckTimeoutUs),
			FailuresBeforeCritical: max(snap.FailuresBeforeCritical, 1), SuccessesBeforePassing: max(snap.SuccessesBeforePassing, 1),
		}
	}
	return s, nil
}

func healthToProto(row *ent.Service) *catalogv1.Health {
	return &catalogv1.Health{
		Status: row.HealthStatus, Since: seconds(row.HealthSince), LastChecked: seconds(row.LastChecked),
		LastCode: row.LastCode, Message: row.LastMessage, ConsecutiveFailures: row.Failures,
		Paused: row.AuthFailures >= pauseAfterAuthFailures,
	}
}

func resultToProto(r connectors.Report, f *connectors.Failure, at time.Time) *catalogv1.TestResult {
	out := &catalogv1.TestResult{
		Connected: f == nil, LatencyMs: milliseconds(r.Latency), CheckedAt: timestamppb.New(at.Truncate(time.Second)),
		Details: &catalogv1.TestDetails{
			ServerVersion: r.ServerVersion, Address: r.Address,
			Tls: &catalogv1.TLSDetails{Used: r.TLS.Used, Version: r.TLS.Version, Verified: r.TLS.Verified},
		},
	}
	if !r.TLS.PeerNotAfter.IsZero() {
		out.Details.Tls.PeerNotAfter = timestamppb.New(r.TLS.PeerNotAfter)
	}
	for _, w := range r.Warnings {
		out.Warnings = append(out.Warnings, &catalogv1.TestWarning{Code: w.Code, Message: w.Message})
	}
	for _, s := range r.Steps {
		out.Details.Steps = append(out.Details.Steps, &catalogv1.TestStep{Stage: string(s.Stage), Ms: milliseconds(s.Took)})
	}
	for _, p := range r.Peers {
		out.Details.Servers = append(out.Details.Servers, &catalogv1.TestPeer{Address: p.Address, Version: p.Version, Error: p.Error})
	}
	if f == nil {
		out.Message = proto.String(r.Message)
		return out
	}
	out.Error, out.Code, out.Stage = proto.String(f.Error()), proto.String(string(f.Code)), proto.String(string(f.Stage))
	if f.Hint != "" {
		out.Hint = proto.String(f.Hint)
	}
	return out
}

func milliseconds(d time.Duration) uint32 { return uint32(max(d.Milliseconds(), 0)) }

// fieldsOf are the fields of a Service that a caller changes: those the mask
// names, or, without one, those that are set. Fields that the server sets are
// left out.
func fieldsOf(s *catalogv1.Service, mask []string) ([]string, error) {
	if len(mask) == 0 {
		for name, set := range map[string]bool{
			"name": s.GetName() != "", "config": s.GetConfig() != nil, "enabled": s.Enabled != nil,
			"description": s.GetDescription() != "", "tags": len(s.GetTags()) > 0, "labels": len(s.GetLabels()) > 0, "check": s.GetCheck() != nil,
		} {
			if set {
				mask = append(mask, name)
			}
		}
		slices.Sort(mask)
		return mask, nil
	}
	var out []string
	for _, name := range mask {
		if s.ProtoReflect().Descriptor().Fields().ByTextName(name) == nil {
			return nil, errs.Invalid(errs.Field{Path: "update_mask", Message: fmt.Sprintf("%q is not a field of a service", name)})
		}
		switch name {
		case "name", "config", "enabled", "description", "tags", "labels", "check":
			out = append(out, name)
		}
	}
	return out, nil
}

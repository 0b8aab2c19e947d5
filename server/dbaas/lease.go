package dbaas

import (
	"context"
	"time"

	"github.com/backplane/backplane/ent"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
)

// RenewCredential implements the RPC.
func (a *Admin) RenewCredential(ctx context.Context, req *dbaasv1.RenewCredentialRequest) (*dbaasv1.Credential, error) {
	row, err := a.credentialFor(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	var f faults
	lease := f.span("lease", req.GetLease(), leastLease)
	if len(f) > 0 {
		return nil, errs.Invalid(f...)
	}
	return a.changeCredential(ctx, row, "RenewCredential", func(now *ent.Credential, u *ent.CredentialUpdateOne) error {
		switch {
		case now.ExpiresAt == 0:
			return refuse("The credential has no lease: it stays until it is deleted.")
		case expired(now):
			return refuse("The lease has ended; create another credential.")
		case lease == 0:
			lease = us(now.LeaseUs)
		}
		u.SetExpiresAt(time.Now().Add(lease).UnixMicro())
		return nil
	})
}

// expired reports whether the lease of a credential has ended.
func expired(row *ent.Credential) bool {
	return row.ExpiresAt != 0 && row.ExpiresAt <= time.Now().UnixMicro()
}

package dbproxy

import (
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/account"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

var _ wire.Conn

// source tells where the service's accounts come from.
func (s *Service) source() account.Source { return account.Source{} }

// UserRow is an account as it is shown.
type UserRow struct {
	User, Host, Plugin         string
	SSL                        bool
	Super, GlobalDB, ProxyPriv bool
	DefaultRole                string
}

// Users are the accounts that may log in to the service.
func (s *Service) Users() []UserRow { return nil }

// UsersUpdated is when they were loaded, zero for never.
func (s *Service) UsersUpdated() time.Time { return time.Time{} }

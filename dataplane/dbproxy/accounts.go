package dbproxy

import (
	"context"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/account"
)

// source tells where the service's accounts come from.
func (s *Service) source() account.Source {
	params := s.Params()
	retries, within := s.proxy.retries()
	return account.Source{
		Retries: retries, RetryTime: within,
		Servers: s.accountServers, Logins: s.logins, All: params.Bool("auth_all_servers"),
		File: params.String("user_accounts_file"), FileOnly: params.String("user_accounts_file_usage") == "file_only_always",
	}
}

// logins are the service's own: the present one, and the one before it, which
// a server may still have.
func (s *Service) logins() []account.Login {
	c := s.config.Load()
	user := c.Params.String("user")
	list := []account.Login{{User: user, Password: c.Params.String("password")}}
	if c.PreviousPassword != "" {
		list = append(list, account.Login{User: user, Password: c.PreviousPassword})
	}
	return list
}

// accountServers are the servers that run, masters first. Maintenance is no
// reason not to ask a server for its accounts, as long as there is no other.
func (s *Service) accountServers() (list []account.Server) {
	var masters, others, last []account.Server
	for _, srv := range s.real() {
		open := account.Server{Name: srv.name, Open: func(ctx context.Context, l account.Login) (account.Session, error) {
			return s.openAccounts(ctx, srv, l)
		}}
		switch state := srv.Status(); {
		case state.Usable() && state.Has(Master):
			masters = append(masters, open)
		case state.Usable():
			others = append(others, open)
		case state.Has(Running):
			last = append(last, open)
		}
	}
	return append(append(masters, others...), last...)
}

// Users are the accounts that the service knows, by name.
func (s *Service) Users() []account.Listed { return s.users.Table().List() }

// UsersUpdated is when they were loaded, zero for never.
func (s *Service) UsersUpdated() time.Time { return s.users.Updated() }

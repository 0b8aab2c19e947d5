// Package builtin lists the connectors that Backplane ships. A new backend
// adds its line here and its own folder, nothing else.
package builtin

import (
	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/email"
	"github.com/backplane/backplane/connectors/ftp"
	"github.com/backplane/backplane/connectors/memcached"
	"github.com/backplane/backplane/connectors/minio"
	"github.com/backplane/backplane/connectors/mongodb"
	"github.com/backplane/backplane/connectors/mysql"
	"github.com/backplane/backplane/connectors/postgres"
	"github.com/backplane/backplane/connectors/redis"
	"github.com/backplane/backplane/connectors/sqlite"
)

// Registry returns the registry of all connectors.
func Registry() (*connectors.Registry, error) {
	return connectors.NewRegistry(
		sqlite.New(),
		postgres.New(),
		mysql.New(),
		redis.New(),
		mongodb.New(),
		minio.New(),
		memcached.New(),
		ftp.New(),
		email.New(),
	)
}

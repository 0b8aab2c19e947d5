package proxy

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

// serverParams are the parameters of a server. One that is a service of the
// catalogue has the address and the login of that; what the server itself was
// given counts before it.
func (p *Proxy) serverParams(ctx context.Context, o *object) (param.Set, error) {
	text := o.set.String(catalogService)
	if text == "" {
		return o.set, nil
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return o.set, err
	}
	p.follows[id] = struct{}{}
	_, _, config, err := p.Catalog.Backend(ctx, id)
	if err != nil {
		return o.set, err
	}
	given := o.set.Plain()
	given["address"], given["port"] = config.String("host"), cmp.Or(config.Int("port"), 3306)
	if given["monitoruser"] == nil {
		given["monitoruser"], given["monitorpw"] = config.String("username"), config.String("password")
	}
	if given["ssl"] == nil {
		if err := p.catalogTLS(config, given); err != nil {
			return o.set, err
		}
	}
	set, faults := param.Parse(serverSpecs(), given)
	if len(faults) > 0 {
		return o.set, faults
	}
	return set, nil
}

// catalogTLS gives a server the TLS of a service of the catalogue. What cannot
// be had here is refused, rather than a connection be less safe than the
// service says.
func (p *Proxy) catalogTLS(config connectors.Config, given map[string]any) error {
	mode := config.String("ssl_mode")
	switch {
	case mode == "" && !config.Bool("use_ssl"), mode == "disabled", mode == "preferred":
		return nil
	case mode == "" && config.Bool("tls_skip_verify"):
		mode = "required"
	}
	for _, name := range []string{"tls_server_name", "tls_client_cert"} {
		if config.Has(name) {
			return fmt.Errorf("%s of the service of the catalogue cannot be used here; give the server address and ssl parameters of its own", name)
		}
	}
	given["ssl"] = true
	if mode == "required" {
		return nil
	}
	given["ssl_verify_peer_certificate"] = true
	given["ssl_verify_peer_host"] = mode != "verify_ca"
	if ca := config.String("tls_ca"); ca != "" {
		path, err := p.keepFile(ca)
		if err != nil {
			return err
		}
		given["ssl_ca"] = path
	}
	return nil
}

// keepFile puts a text that is no secret into a file named for it.
func (p *Proxy) keepFile(text string) (string, error) {
	sum := sha256.Sum256([]byte(text))
	dir, err := filepath.Abs(p.Dir)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "ca-"+hex.EncodeToString(sum[:8])+".pem")
	if _, err := os.Stat(path); err == nil || !errors.Is(err, os.ErrNotExist) {
		return path, err
	}
	part, err := os.CreateTemp(dir, "ca-")
	if err != nil {
		return "", err
	}
	_, err = part.WriteString(text)
	if err = errors.Join(err, part.Close()); err != nil {
		return "", errors.Join(err, os.Remove(part.Name()))
	}
	return path, os.Rename(part.Name(), path)
}

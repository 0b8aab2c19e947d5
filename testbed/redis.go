package testbed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// RedisOptions says what a Redis server should be like. The zero value is a
// server without password and TLS.
type RedisOptions struct {
	Password string // of the user default; "" for none
	Users    []RedisUser
	Cert     *Cert // adds a TLS port with this certificate
	ClientCA *CA   // the TLS port wants a client certificate of this authority
	TLSOnly  bool  // no plain port
	Sentinel bool  // a Sentinel instead of a data server
	Cluster  bool  // a node of a Redis Cluster
	Durable  bool  // keeps its data when it is stopped
	// Config are further lines of redis.conf.
	Config []string
}

// RedisUser is an ACL user.
type RedisUser struct {
	Name     string
	Password string // "" for none
	Rules    string // e.g. "on ~* +@all"
}

// Redis is a running Redis server.
type Redis struct {
	*Running
	process Process
	Port    int // plain; 0 with TLSOnly
	TLSPort int // 0 without Cert
}

// StartRedis starts redis-server until t ends.
func StartRedis(t TB, o RedisOptions) *Redis {
	t.Helper()
	dir := Folder(t, "")
	s := &Redis{}
	conf := []string{"bind 127.0.0.1", "dir " + dir, `save ""`, "daemonize no"}
	if o.Durable {
		conf = append(conf, "appendonly yes", "appendfsync always")
	}
	if !o.TLSOnly {
		s.Port = FreePort(t)
	}
	conf = append(conf, "port "+strconv.Itoa(s.Port))
	if o.Cert != nil {
		s.TLSPort = FreePort(t)
		conf = append(conf, redisTLS(t, dir, o, s.TLSPort)...)
	}
	if o.Cluster {
		conf = append(conf, "cluster-enabled yes", "cluster-port "+strconv.Itoa(FreePort(t)))
	}
	if o.Password != "" {
		conf = append(conf, "requirepass "+redisQuote(o.Password))
	}
	for _, u := range o.Users {
		pass := "nopass"
		if u.Password != "" {
			pass = redisQuote(">" + u.Password)
		}
		conf = append(conf, fmt.Sprintf("user %s %s %s", u.Name, pass, u.Rules))
	}
	conf = append(conf, o.Config...)
	file := filepath.Join(dir, "redis.conf")
	Write(t, file, strings.Join(conf, "\n")+"\n")
	args := []string{file}
	if o.Sentinel {
		args = append(args, "--sentinel")
	}
	ready := s.Port
	if ready == 0 {
		ready = s.TLSPort
	}
	up := Listening(ready)
	if o.Durable {
		up = s.answering(o.Password)
	}
	s.process = Process{
		Path: "redis-server", Args: args, Dir: dir, Ready: up,
		Stop: syscall.SIGKILL, // what it saves, it has saved before it answered
	}
	s.Running = Start(t, s.process)
	return s
}

// Stop kills the server; a durable one keeps its data and port for Restart.
func (s *Redis) Stop() { s.Close() }

// Restart stops the server if it runs and starts it again on the same data and
// port.
func (s *Redis) Restart(t TB) {
	t.Helper()
	s.Close()
	s.Running = Start(t, s.process)
}

// answering is a Ready function: the server has read its data. It tells that
// only those who are logged in.
func (s *Redis) answering(password string) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", Addr(s.Port))
		if err != nil {
			return err
		}
		defer c.Close()
		deadline, _ := ctx.Deadline()
		c.SetDeadline(deadline) //nolint:errcheck // reading tells
		r := bufio.NewReader(c)
		ask := "PING\r\n"
		if password != "" {
			ask = fmt.Sprintf("*2\r\n$4\r\nAUTH\r\n$%d\r\n%s\r\n", len(password), password) + ask
		}
		if _, err := c.Write([]byte(ask)); err != nil {
			return err
		}
		for {
			line, err := r.ReadString('\n')
			switch {
			case err != nil:
				return err
			case line == "+PONG\r\n":
				return nil
			case line != "+OK\r\n" && !strings.Contains(line, "without any password"):
				return errors.New(strings.TrimSpace(line))
			}
		}
	}
}

func redisTLS(t TB, dir string, o RedisOptions, port int) []string {
	t.Helper()
	cert, key := o.Cert.Files(t, dir, "server", "")
	lines := []string{
		"tls-port " + strconv.Itoa(port), "tls-cert-file " + cert, "tls-key-file " + key,
	}
	if o.ClientCA == nil {
		return append(lines, "tls-auth-clients no")
	}
	ca := filepath.Join(dir, "client-ca.crt")
	Write(t, ca, o.ClientCA.PEM)
	return append(lines, "tls-auth-clients yes", "tls-ca-cert-file "+ca)
}

// redisQuote writes a value as redis.conf wants it: in double quotes, with
// anything special as \xHH.
func redisQuote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(s) {
		if c == '"' || c == '\\' || c < ' ' || c > '~' {
			fmt.Fprintf(&b, `\x%02x`, c)
		} else {
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

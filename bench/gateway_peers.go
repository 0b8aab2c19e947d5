package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// startOrigin runs the server behind all proxies: nginx, which answers from
// memory.
func startOrigin(o *owner, dir string) (addr string) {
	addr = freeAddr(o)
	files := filepath.Join(dir, "origin-files")
	o.must(os.MkdirAll(files, 0o755))
	o.must(os.Chmod(dir, 0o755)) // nginx gives up the rights of root
	o.must(os.WriteFile(filepath.Join(files, "large"), bytes.Repeat([]byte("x"), largeBody), 0o644))
	runNginx(o, dir, "origin", addr, fmt.Sprintf(`
  sendfile on;
  tcp_nopush on;
  open_file_cache max=16;
  server {
    listen %s backlog=1024;
    location / { default_type text/plain; return 200 "hello\n"; }
    location ~ /large$ { alias %s/large; }
  }
`, addr, files), 1)
	return addr
}

func runNginx(o *owner, dir, name, addr, http string, workers int) *process {
	prefix := filepath.Join(dir, name)
	o.must(os.MkdirAll(prefix, 0o755))
	file := filepath.Join(prefix, "nginx.conf")
	o.must(os.WriteFile(file, fmt.Appendf(nil, `daemon off;
worker_processes %d;
worker_rlimit_nofile 8192;
error_log stderr crit;
pid %s/pid;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 100000000;
  client_body_temp_path %[2]s/body;
  proxy_temp_path %[2]s/proxy;
  fastcgi_temp_path %[2]s/fastcgi;
  uwsgi_temp_path %[2]s/uwsgi;
  scgi_temp_path %[2]s/scgi;
%s}
`, workers, prefix, http), 0o600))
	return start(o, nil, dialReady(addr), "nginx", "-p", prefix, "-c", file)
}

// startNginx runs nginx as a proxy. Its buffers are larger than by default, so
// that long bodies do not go through files.
func startNginx(o *owner, dir, upstream string) *gatewayServer {
	addr := freeAddr(o)
	var locations bytes.Buffer
	for i := range fewRoutes {
		fmt.Fprintf(&locations, "    location /r%06d/ { proxy_pass http://origin; }\n", i+1)
	}
	p := runNginx(o, dir, "nginx", addr, fmt.Sprintf(`
  upstream origin {
    server %s;
    keepalive 128;
    keepalive_requests 100000000;
  }
  server {
    listen %s backlog=1024;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $host;
    proxy_max_temp_file_size 0;
    proxy_buffers 16 64k;
    proxy_buffer_size 64k;
    proxy_busy_buffers_size 128k;
%s  }
`, upstream, addr, locations.String()), 2)
	return &gatewayServer{nginxName, p, addr}
}

// startHAProxyHTTP runs HAProxy as a proxy of HTTP.
func startHAProxyHTTP(o *owner, dir, upstream string) *gatewayServer {
	addr := freeAddr(o)
	var rules bytes.Buffer
	for i := range fewRoutes {
		fmt.Fprintf(&rules, "  use_backend origin if { path_beg /r%06d/ }\n", i+1)
	}
	file := filepath.Join(dir, "haproxy-http.cfg")
	o.must(os.WriteFile(file, fmt.Appendf(nil, `global
  maxconn 4000
defaults
  mode http
  option forwardfor
  http-reuse always
  timeout connect 10s
  timeout client 1m
  timeout server 1m
frontend gateway
  bind %s
  http-request set-header X-Forwarded-Proto http
%sbackend origin
  server s1 %s
`, addr, rules.String(), upstream), 0o600))
	return &gatewayServer{"HAProxy", start(o, nil, dialReady(addr), "haproxy", "-db", "-f", file), addr}
}

// startCaddy runs Caddy as a proxy.
func startCaddy(o *owner, dir, upstream string) *gatewayServer {
	addr := freeAddr(o)
	file := filepath.Join(dir, "Caddyfile")
	var routes bytes.Buffer
	for i := range fewRoutes {
		fmt.Fprintf(&routes, "  handle /r%06d/* {\n    reverse_proxy %s {\n      transport http {\n        keepalive_idle_conns_per_host 128\n      }\n    }\n  }\n", i+1, upstream)
	}
	o.must(os.WriteFile(file, fmt.Appendf(nil, "{\n  admin off\n  auto_https off\n  log {\n    level ERROR\n  }\n}\nhttp://%s {\n%s}\n", addr, routes.String()), 0o600))
	return &gatewayServer{"Caddy", start(o, nil, dialReady(addr), "caddy", "run", "--config", file, "--adapter", "caddyfile"), addr}
}

// startEnvoy runs Envoy as a proxy, nil where it is not installed.
func startEnvoy(o *owner, dir, upstream string) *gatewayServer {
	matches, err := filepath.Glob(".cache/envoy/lib/python3*/site-packages/envoy/_bin/envoy")
	o.must(err)
	if len(matches) == 0 {
		return nil
	}
	program, err := filepath.Abs(matches[0])
	o.must(err)
	addr := freeAddr(o)
	var routes bytes.Buffer
	for i := range fewRoutes {
		fmt.Fprintf(&routes, "            - {match: {prefix: /r%06d/}, route: {cluster: origin}}\n", i+1)
	}
	file := filepath.Join(dir, "envoy.yaml")
	o.must(os.WriteFile(file, fmt.Appendf(nil, `static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: %d}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: gateway
          use_remote_address: true
          http_filters:
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
%s  clusters:
  - name: origin
    type: STATIC
    connect_timeout: 10s
    circuit_breakers: {thresholds: [{max_connections: 4096, max_pending_requests: 4096, max_requests: 4096}]}
    load_assignment:
      cluster_name: origin
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}}]}]
`, portOf(o, addr), bytes.ReplaceAll(routes.Bytes(), []byte("            - "), []byte("              - ")), portOf(o, upstream)), 0o600))
	return &gatewayServer{"Envoy", start(o, nil, dialReady(addr), program, "-c", file, "--concurrency", "2", "--log-level", "error", "--disable-hot-restart"), addr}
}

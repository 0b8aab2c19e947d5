// Package httpproxy is a gateway for HTTP: it matches requests with routes,
// runs plugins and carries the requests to upstreams. It knows nothing of a
// store or of an API: New makes a Proxy, Update tells it what to serve, Run
// serves until its context ends.
//
// The packages below it have one part each: entity what it is configured with,
// schema how such things are described and checked, route the index of routes,
// balance upstreams with their targets and health, h1 HTTP/1.1 on the wire,
// plugin the plugins.
//
// A request is an Exchange. It goes through these steps, all of them on the
// goroutine or task of its connection: the head is read; the route is found in
// the current snapshot; the plugins that apply are run in the order of their
// priorities (Accesser); the request goes to the upstream, again if it may;
// the plugins see the head of the response (Responder); the response is
// streamed; the plugins are told of the end (Logger).
package httpproxy

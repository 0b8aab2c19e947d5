// Package h1 is HTTP/1.0 and 1.1 on the wire (RFC 9112): Server reads requests
// and writes responses, Client the other way round. Both are in blocking style
// on a net.Conn.
//
// It is strict about what it reads, since what two parties read differently is
// how requests are smuggled past one of them: whatever it accepts has one
// meaning only. It writes only what it would accept.
//
// Heads are given without what concerns the connection alone (RFC 9110, 7.6.1)
// and without what frames the body: fields named Connection, or named by it,
// Keep-Alive, Proxy-Connection, Transfer-Encoding, Content-Length, TE, Upgrade,
// Expect, HTTP2-Settings and Host are not in the headers but told in members
// of Request and Response. Where a header that is to be written has such
// fields, they are left out.
//
// Reading a head allocates one string, which its parts are substrings of, so
// that they may be kept (by who clones them, if for long). Nothing else is
// allocated for a message whose Request or Response is used again.
package h1

package route

// Header is where the fields of a request are found.
type Header interface {
	// Next is the value of the first field of that name, in any case, at or
	// after the position from, and the position after it: a loop begins with
	// from 0. A position below 0 tells that there is none.
	Next(name string, from int) (value string, next int)
}

// Input is what of a request routes are matched by.
type Input struct {
	Method string
	// Path is the path in normal form, without the query.
	Path string
	// Host is the authority that was asked for, with its port if it was sent.
	Host string
	// Port is the port that was listened at, which counts for the host's when
	// none was sent.
	Port   int
	Header Header // nil is none
	// Scheme is http or https, as the client sees it.
	Scheme string
	// TLS tells that the connection has TLS, and SNI the server name in it.
	TLS bool
	SNI string
}

// Result is what was found.
type Result[V any] struct {
	// Value is the route's. It is one for each of its paths.
	Value *V
	// Prefix is the part of the path that has matched: a plain path of the
	// route, or what its regular expression has matched; "" for routes without
	// paths.
	Prefix string
	// Captures are what a regular expression has captured: number 0 is Prefix.
	// They are nil for plain paths. Names are in step with them, "" for those
	// that have none, and must not be changed.
	Captures, Names []string
	// Protocols are those of the route. They have no part in which route is
	// found: NeedsTLS tells that it is none for requests in the clear, and that
	// this one is such.
	Protocols Protocols
	NeedsTLS  bool
}

// Protocols is a set of protocols.
type Protocols uint8

// The protocols that routes are for. Those of no other are kept out of tables.
const (
	HTTP Protocols = 1 << iota
	HTTPS
	GRPC
	GRPCS
)

// GRPC tells whether the route is for gRPC.
func (p Protocols) GRPC() bool { return p&(GRPC|GRPCS) != 0 }

// Package balance says which address a request goes to. A Pool has Balancers,
// each for an upstream with its targets, and looks up hosts that are none. It
// resolves their names, again and again, and checks their health by what it is
// told of requests (Peer.Report) and by requests of its own.
package balance

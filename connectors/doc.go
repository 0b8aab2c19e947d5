// Package connectors reaches the outside world: the backends that the
// catalogue lists. It owns the description of a backend's configuration
// (Spec, Field), its validation, the shared dialer that every connection test
// runs on (Probe), and the vocabulary in which failures are told (Code).
//
// Each backend has a package of its own below this one; package builtin lists
// them all. Package conformance is the suite that every connector passes.
// Start at Connector, then Run.
package connectors

// Package rwsplit is the router readwritesplit: each session has a connection
// to the master and some to replicas, and every statement goes where it may
// ("Readwritesplit", MaxScale documentation).
//
// What changes the session goes to all of its servers, and is remembered so
// that further connections can be made like the others. What only reads goes to
// one of the replicas. All else, and all that is not understood, is the
// master's.
package rwsplit

// Package route finds the route of a request. A Table is an index of routes
// that never changes: a Txn makes the next one of it, which shares with it
// what is the same, so that one route among many is changed as fast as one
// among few. Normalize brings paths into the form in which they are matched.
package route

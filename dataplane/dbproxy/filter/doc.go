// Package filter has the filters that stand between the clients of a service
// and its router: they log statements, rewrite them, say where they are to go,
// and slow down or cut off sessions that ask too much. Their names and
// parameters are those of MaxScale's filters.
//
// Requests whose text is too long to be read pass all of them as they are.
package filter

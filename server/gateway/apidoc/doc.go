// Package apidoc reads the OpenAPI documents in which services describe
// themselves: which operations they opt in, how the gateway routes these, one
// merged document of many services, and what changed between two documents.
//
// Its functions are pure: they fetch nothing and store nothing. Documents come
// from services that nobody vouches for, so whatever is wrong in one is told as
// a fault and left out, and the rest is used.
package apidoc

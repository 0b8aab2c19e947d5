// Package tee is a filter that sends a copy of requests to another server or
// service ("Tee Filter", MaxScale).
//
// Each session has a branch of its own, on which the copies run one after
// another, behind the client's back: their answers are dropped. Up to 256
// copies of 16 MiB in all wait for it; a client that is further ahead waits
// itself, so that a slow branch slows it down instead of filling the memory.
// Copies that wait when the client leaves are still sent, for five seconds.
//
// Copied are statements as text and the commands that set the state of a
// session. Prepared statements of the binary protocol are not, nor LOAD DATA
// LOCAL, nor text that is too long to be held. What sets the default database
// and how text is read is copied even if it does not match, as the meaning of
// the copies hangs on it.
package tee

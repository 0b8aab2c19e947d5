//go:build race

package rwsplit

// raced tells that sync.Pool drops buffers at random, so that relaying
// allocates now and then.
const raced = true

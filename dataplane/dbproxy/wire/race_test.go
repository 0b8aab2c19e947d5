//go:build race

package wire

// raced tells that sync.Pool drops buffers at random, so that relaying
// allocates now and then.
const raced = true

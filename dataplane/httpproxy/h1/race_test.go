//go:build race

package h1

// raced tells that the race detector is there, with which pools forget.
const raced = true

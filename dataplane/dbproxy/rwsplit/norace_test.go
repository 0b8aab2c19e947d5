//go:build !race

package rwsplit

const raced = false

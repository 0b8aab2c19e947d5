//go:build !unix

package filter

const openFlags = 0

//go:build !linux

package h1

// splice is for where the system can move bytes from a connection to another.
func (o *outbound) splice() (done bool, err error) { return false, nil }

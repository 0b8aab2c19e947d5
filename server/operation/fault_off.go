//go:build !faults

package operation

// faultPoint is where a build with the tag faults can be made to die.
func faultPoint(_, _, _ string) {}

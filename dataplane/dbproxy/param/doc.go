// Package param describes the parameters of the proxy's objects: their names,
// types and defaults, how what a user gives is read, and how it is shown. The
// types and the rules are those of MaxScale ("MaxScale Configuration Guide",
// sections on parameter types).
package param

// Package firewall is a filter that lets statements pass or refuses them, by
// rules for users ("Database Firewall filter", MaxScale).
//
// Where rules are not clear the filter refuses rather than lets pass: the
// expressions of regex disregard case, and their dots match the ends of lines
// too; what is prepared, as text or by the binary protocol, is looked at when it
// is prepared; what cannot be read is refused unless strict is switched off.
package firewall

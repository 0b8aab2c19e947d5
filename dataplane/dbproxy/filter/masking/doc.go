// Package masking is a filter that hides the values of columns in results, for
// some or all users ("Masking", MaxScale).
//
// Values keep their length, and are hidden wherever the server tells which
// column they come from. Statements that would show them as something else, by
// functions, expressions, user variables, unions and subqueries, are refused,
// and so is what cannot be read. This protects against accidents more than
// against someone with rights to write SQL that is made for the purpose: a value
// can still be guessed at in a condition, and be copied to another table. Views
// are tables of their own to the server: rules must name their columns too.
package masking

// Package ent is the store. Only the schema folder is written by hand.
package ent

//go:generate ent generate --feature sql/lock,sql/modifier ./schema

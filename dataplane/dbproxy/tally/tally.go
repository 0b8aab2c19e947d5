// Package tally has counts that several processors add to all the time. An
// atomic number would have each of them wait until it gets the number's cache
// line from the one that has added to it before.
package tally

import "sync/atomic"

// Places is how many parts a count has. Who shares a place may have to wait.
const Places = 8

const cacheLine = 64 // bytes

// Count is a number in several places. Its methods may be called from anywhere.
type Count struct {
	places [Places]struct {
		n atomic.Int64
		_ [cacheLine - 8]byte
	}
}

// Add adds to the number, in one of the places: that of the caller's processor,
// say. Any number is one.
func (c *Count) Add(place int, n int64) { c.places[uint(place)%Places].n.Add(n) }

// Load is the number. What is added meanwhile may be in it or not.
func (c *Count) Load() (n int64) {
	for i := range c.places {
		n += c.places[i].n.Load()
	}
	return n
}

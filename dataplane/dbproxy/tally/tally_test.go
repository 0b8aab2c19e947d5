package tally

import (
	"sync"
	"testing"
	"unsafe"
)

func TestCount(t *testing.T) {
	var c Count
	var all sync.WaitGroup
	for place := range 3 * Places {
		all.Go(func() {
			for range 1000 {
				c.Add(place-Places, 2)
				c.Add(place, -1)
			}
		})
	}
	all.Wait()
	if n := c.Load(); n != 3*Places*1000 {
		t.Errorf("%d", n)
	}
	if size := unsafe.Sizeof(c.places[0]); size != cacheLine {
		t.Errorf("a place has %d bytes", size)
	}
}

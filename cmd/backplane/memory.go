package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// heapFloor is never used, and so never resident. It makes the heap count
	// for more than it is: the runtime collects when the heap has doubled, which
	// for a few MiB of services would be hundreds of times a second.
	heapFloor = 16 << 20
	// memoryEvery is how often the program looks whether it is idle.
	memoryEvery = 3 * time.Second
	// idleAllocation is what an idle program may allocate in that time: the
	// lease, probes and metrics take less.
	idleAllocation = 1 << 20
)

// tuneMemory makes collections rare while there is work, and gives memory back
// when there is none, until ctx ends.
func tuneMemory(ctx context.Context) {
	floor := make([]byte, heapFloor)
	returnIdleMemory(ctx)
	runtime.KeepAlive(floor)
}

// returnIdleMemory gives memory back to the system whenever the program has
// become idle, until ctx ends. The runtime by itself keeps what one login or
// one large list took for minutes, because its next collection is due only when
// the heap has grown. A busy program is left alone.
func returnIdleMemory(ctx context.Context) {
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	var last uint64
	returned := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(sample)
		now := sample[0].Value.Uint64()
		idle := now-last < idleAllocation
		if idle && !returned {
			debug.FreeOSMemory()
		}
		last, returned = now, idle
	}
}

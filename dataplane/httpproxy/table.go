package httpproxy

import "hash/maphash"

// shardBits say how many parts a table has: a change copies one part, and the
// list of the parts once per snapshot.
const shardBits = 10

// table is a map that snapshots share: it is never changed, a tableTxn makes
// the next one. The zero table is empty.
type table[K comparable, V any] struct {
	seed   maphash.Seed
	shards *[1 << shardBits]map[K]V
}

func (t *table[K, V]) get(k K) (v V, ok bool) {
	if t.shards == nil {
		return v, false
	}
	v, ok = t.shards[t.shard(k)][k]
	return v, ok
}

// each calls f for each pair, in no order.
func (t *table[K, V]) each(f func(K, V)) {
	if t.shards == nil {
		return
	}
	for _, part := range t.shards {
		for k, v := range part {
			f(k, v)
		}
	}
}

func (t *table[K, V]) shard(k K) uint64 {
	return maphash.Comparable(t.seed, k) >> (64 - shardBits)
}

// tableTxn makes a table from another one.
type tableTxn[K comparable, V any] struct {
	table   table[K, V]
	changed bool
	own     [1 << shardBits]bool // parts that nobody else sees
}

func (t *table[K, V]) txn() *tableTxn[K, V] { return &tableTxn[K, V]{table: *t} }

func (t *tableTxn[K, V]) get(k K) (V, bool) { return t.table.get(k) }

func (t *tableTxn[K, V]) writable(k K) map[K]V {
	if !t.changed {
		t.changed = true
		shards := new([1 << shardBits]map[K]V)
		if t.table.shards != nil {
			*shards = *t.table.shards
		} else {
			t.table.seed = maphash.MakeSeed()
		}
		t.table.shards = shards
	}
	i := t.table.shard(k)
	if !t.own[i] {
		t.own[i] = true
		part := make(map[K]V, len(t.table.shards[i])+1)
		for k, v := range t.table.shards[i] {
			part[k] = v
		}
		t.table.shards[i] = part
	}
	return t.table.shards[i]
}

func (t *tableTxn[K, V]) put(k K, v V) { t.writable(k)[k] = v }

func (t *tableTxn[K, V]) del(k K) {
	if _, ok := t.table.get(k); ok {
		delete(t.writable(k), k)
	}
}

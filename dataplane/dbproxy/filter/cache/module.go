package cache

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/filter"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

// Module makes caches.
func Module() dbproxy.FilterModule {
	return dbproxy.FilterModule{
		Description: "Keeps the results of SELECTs",
		Specs: param.Specs{
			{Name: "storage", Type: param.TypeEnum, Enum: []string{"storage_inmemory"}, EnumAliases: map[string]string{"inmemory": "storage_inmemory"}, Default: "storage_inmemory", Fixed: true, Description: "Where results are kept"},
			{Name: "storage_options", Type: param.TypeString, Fixed: true, Description: "Options of the storage; that in memory has none"},
			{Name: "hard_ttl", Type: param.TypeDuration, Unit: time.Millisecond, Default: time.Duration(0), Description: "How long a result is used at most; 0 is for ever"},
			{Name: "soft_ttl", Type: param.TypeDuration, Unit: time.Millisecond, Default: time.Duration(0), Description: "When a result is fetched anew, by one client, while others still get it; 0 is never"},
			{Name: "max_resultset_rows", Type: param.TypeCount, Default: int64(0), Description: "Rows of a result that is kept, at most; 0 is any number"},
			{Name: "max_resultset_size", Type: param.TypeSize, Default: int64(0), Description: "Size of a result that is kept, at most; 0 is any size"},
			{Name: "max_count", Type: param.TypeCount, Default: int64(0), Description: "Results kept at most; 0 is any number"},
			{Name: "max_size", Type: param.TypeSize, Default: int64(0), Description: "Size of all results at most; 0 is any size"},
			{Name: "rules", Type: param.TypePath, Description: "File of rules on what is kept and who gets it, JSON"},
			{Name: "cached_data", Type: param.TypeEnum, Enum: []string{"thread_specific", "shared"}, Default: "thread_specific", Fixed: true, Description: "Both values mean one cache for all sessions"},
			{Name: "selects", Type: param.TypeEnum, Enum: []string{"assume_cacheable", "verify_cacheable"}, Default: "assume_cacheable", Description: "Whether results are kept of SELECTs that tell something else each time"},
			{Name: "cache_in_transactions", Type: param.TypeEnum, Enum: []string{"never", "read_only_transactions", "all_transactions"}, Default: "all_transactions", Description: "In which transactions results are used"},
			{Name: "debug", Type: param.TypeCount, Default: int64(0), Max: 31, Description: "What is logged, as a sum: 1 rules that match, 2 rules that do not, 4 use of the cache, 8 no use of it, 16 other decisions"},
			{Name: "enabled", Type: param.TypeBool, Default: true, Description: "Whether sessions begin with the cache switched on"},
			{Name: "invalidate", Type: param.TypeEnum, Enum: []string{"never", "current"}, Default: "never", Description: "Whether writes to a table take away the results read from it"},
			{Name: "clear_cache_on_parse_errors", Type: param.TypeBool, Default: true, Description: "Take away all results when it cannot be told what a statement writes"},
			{Name: "users", Type: param.TypeEnum, Enum: []string{"mixed", "isolated"}, Default: "mixed", Description: "Whether users share results"},
			{Name: "timeout", Type: param.TypeDuration, Unit: time.Millisecond, Default: 5 * time.Second, Description: "How long a storage on the network may take"},
		},
		New: newFilter,
		Commands: []dbproxy.Command{{
			Name: "show", Description: "Show what the cache holds and how much it is used", Method: "GET",
			Args: []dbproxy.Argument{{Type: dbproxy.ArgFilter, Description: "Cache"}},
			Run: func(_ context.Context, args []any) (any, error) {
				f, ok := args[0].(*cacheFilter)
				if !ok {
					return nil, param.Faults{{Name: "filter", Message: "must be a cache"}}
				}
				return f.Diagnostics(), nil
			},
		}},
	}
}

type transactions uint8

const (
	transactionsAll transactions = iota
	transactionsReadOnly
	transactionsNever
)

// Bits of debug.
const (
	debugMatching = 1 << iota
	debugNotMatching
	debugUse
	debugNoUse
)

type cacheFilter struct {
	log    *slog.Logger
	store  *memory
	rules  []ruleset
	now    func() time.Time
	debug  int64
	limits limits

	last              atomic.Uint64 // number of settings that are not known
	soft, hard        time.Duration
	enabled, verify   bool
	invalidate, clear bool
	isolated          bool
	transactions      transactions
}

// limits are those of a result that is kept; 0 for none.
type limits struct{ rows, size int64 }

// maxResult is the size of a result that is kept where there is no limit.
const maxResult = 256 << 20

func newFilter(o dbproxy.FilterOptions) (dbproxy.Filter, error) {
	p := o.Params
	f := &cacheFilter{
		log: o.Logger, store: newMemory(p.Int("max_count"), p.Int("max_size")), now: time.Now, debug: p.Int("debug"),
		limits: limits{rows: p.Int("max_resultset_rows"), size: p.Int("max_resultset_size")},
		soft:   p.Duration("soft_ttl"), hard: p.Duration("hard_ttl"), enabled: p.Bool("enabled"),
		verify: p.String("selects") == "verify_cacheable", invalidate: p.String("invalidate") == "current",
		clear: p.Bool("clear_cache_on_parse_errors"), isolated: p.String("users") == "isolated",
	}
	switch p.String("cache_in_transactions") {
	case "never":
		f.transactions = transactionsNever
	case "read_only_transactions":
		f.transactions = transactionsReadOnly
	}
	if max := p.Int("max_size"); max > 0 && f.limits.size > max {
		return nil, param.Faults{{Name: "max_resultset_size", Message: "must not be larger than max_size"}}
	}
	if f.limits.size == 0 {
		f.limits.size = maxResult
	}
	if path := p.String("rules"); path != "" {
		text, err := filter.ReadRules(path)
		if err == nil {
			f.rules, err = parseRules(text)
		}
		if err != nil {
			return nil, param.Faults{{Name: "rules", Message: err.Error()}}
		}
	}
	return f, nil
}

// Session implements dbproxy.Filter.
func (f *cacheFilter) Session(s *dbproxy.Session, next dbproxy.Handler) (dbproxy.Handler, error) {
	return newHandler(f, s, next), nil
}

// Diagnostics implements dbproxy.Filter.
func (f *cacheFilter) Diagnostics() map[string]any {
	c := f.store.statistics()
	return map[string]any{
		"hits": c.Hits, "misses": c.Misses, "stores": c.Stores, "evictions": c.Evictions, "invalidations": c.Invalidations,
		"items": c.Items, "size": c.Size,
	}
}

// Close implements dbproxy.Filter.
func (f *cacheFilter) Close() { f.store.clear() }

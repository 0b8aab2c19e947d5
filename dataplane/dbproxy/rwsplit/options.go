package rwsplit

import (
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

// options are the parameters, read once.
type options struct {
	maxReplicas, replicas int
	maxLag                time.Duration
	criteria              string
	variablesOnMaster     bool
	masterReads           bool
	strictMulti, strictSP bool
	strictTemporary       bool
	retryReads            bool
	reconnect             bool
	delayed               bool
	delay                 time.Duration
	lazy, optimistic      bool
	share                 bool // idle sessions give up connections
	reuse                 bool
	failureMode           string

	causal        string
	causalTimeout time.Duration

	replay       bool
	replaySize   int64
	attempts     int
	replayTime   time.Duration
	checksum     string
	deadlocks    bool
	mismatches   bool
	safeCommit   bool
	history      int
	prune        bool
	historyOff   bool
	retryAfter   time.Duration // a server that could not be connected to is left alone for so long
	discardLag   time.Duration
	idleUnproven time.Duration
}

func readOptions(p param.Set) *options {
	o := &options{
		maxReplicas: int(p.Int("max_slave_connections")), replicas: int(p.Int("slave_connections")), maxLag: p.Duration("max_replication_lag"),
		criteria: p.String("slave_selection_criteria"), variablesOnMaster: p.String("use_sql_variables_in") == "master",
		masterReads: p.Bool("master_accept_reads"), strictMulti: p.Bool("strict_multi_stmt"), strictSP: p.Bool("strict_sp_calls"),
		strictTemporary: p.Bool("strict_tmp_tables"), retryReads: p.Bool("retry_failed_reads"), reconnect: p.Bool("master_reconnection"),
		delayed: p.Bool("delayed_retry"), delay: p.Duration("delayed_retry_timeout"), lazy: p.Bool("lazy_connect"),
		optimistic: p.Bool("optimistic_trx"), reuse: p.Bool("reuse_prepared_statements"), failureMode: p.String("master_failure_mode"),
		causal: p.String("causal_reads"), causalTimeout: p.Duration("causal_reads_timeout"),
		replay: p.Bool("transaction_replay"), replaySize: p.Int("transaction_replay_max_size"), attempts: int(p.Int("transaction_replay_attempts")),
		replayTime: p.Duration("transaction_replay_timeout"), checksum: p.String("transaction_replay_checksum"),
		deadlocks: p.Bool("transaction_replay_retry_on_deadlock"), mismatches: p.Bool("transaction_replay_retry_on_mismatch"),
		safeCommit: p.Bool("transaction_replay_safe_commit"), history: int(p.Int("max_sescmd_history")), prune: p.Bool("prune_sescmd_history"),
		historyOff: p.Bool("disable_sescmd_history"), retryAfter: time.Second, idleUnproven: 100 * time.Microsecond,
	}
	o.share = p.Duration("idle_session_pool_time") >= 0
	if o.replay {
		o.delayed, o.reconnect = true, true
		o.delay = max(o.delay, o.replayTime)
		if o.failureMode == failInstantly {
			o.failureMode = failOnWrite
		}
	}
	if o.historyOff {
		o.reconnect = false
	}
	if o.maxLag > 0 {
		o.discardLag = max(300*time.Second, 2*o.maxLag)
	}
	return o
}

package rwsplit

import (
	"context"
	"errors"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

// Module is the router's module.
func Module() dbproxy.RouterModule {
	return dbproxy.RouterModule{
		Description: "A Read/Write splitting router for enhancement read scalability",
		Specs:       specs(),
		New:         func(o dbproxy.RouterOptions) (dbproxy.Router, error) { return newRouter(o), nil },
		Commands: []dbproxy.Command{{
			Name: "reset-gtid", Description: "Forget the position in replication that reads wait for", Method: "POST",
			Args: []dbproxy.Argument{{Type: dbproxy.ArgService, Description: "The service"}},
			Run:  resetGTID,
		}},
	}
}

func resetGTID(_ context.Context, args []any) (any, error) {
	if len(args) == 1 {
		if service, ok := args[0].(*dbproxy.Service); ok {
			if r, ok := service.Router().(*router); ok {
				r.causal.reset()
				return nil, nil
			}
		}
	}
	return nil, errors.New("the service's router is not readwritesplit")
}

// The values of slave_selection_criteria.
const (
	leastOperations        = "least_current_operations"
	leastBehind            = "least_behind_master"
	leastGlobalConnections = "least_global_connections"
	leastRouterConnections = "least_router_connections"
	adaptive               = "adaptive_routing"
)

// The values of master_failure_mode.
const (
	failInstantly = "fail_instantly"
	failOnWrite   = "fail_on_write"
	errorOnWrite  = "error_on_write"
)

// The values of causal_reads.
const (
	causalNone          = "none"
	causalLocal         = "local"
	causalGlobal        = "global"
	causalFast          = "fast"
	causalFastGlobal    = "fast_global"
	causalUniversal     = "universal"
	causalFastUniversal = "fast_universal"
)

// The values of transaction_replay_checksum.
const (
	checksumFull       = "full"
	checksumResultOnly = "result_only"
	checksumNoInsertID = "no_insert_id"
)

func bools(specs ...param.Spec) param.Specs {
	for i := range specs {
		specs[i].Type = param.TypeBool
		if specs[i].Default == nil {
			specs[i].Default = false
		}
	}
	return specs
}

func specs() param.Specs {
	return append(append(targetSpecs(), replaySpecs()...), bools(
		param.Spec{Name: "master_accept_reads", Description: "Send reads to the master, too"},
		param.Spec{Name: "strict_multi_stmt", Description: "Stay with the master after several statements in one request"},
		param.Spec{Name: "strict_sp_calls", Description: "Stay with the master after CALL"},
		param.Spec{Name: "strict_tmp_tables", Default: true, Description: "Do not change the master while there are temporary tables"},
		param.Spec{Name: "retry_failed_reads", Default: true, Description: "Send a read elsewhere when its server is lost"},
		param.Spec{Name: "master_reconnection", Default: true, Description: "Go on with another master when it has changed"},
		param.Spec{Name: "delayed_retry", Description: "Wait for a server when there is none for a statement"},
		param.Spec{Name: "lazy_connect", Description: "Connect to a server when it is first needed"},
		param.Spec{Name: "optimistic_trx", Description: "Begin transactions on a replica until they write"},
		param.Spec{Name: "reuse_prepared_statements", Description: "Keep prepared statements for when they are prepared again"},
	)...)
}

func targetSpecs() param.Specs {
	return param.Specs{
		{Name: "max_slave_connections", Type: param.TypeCount, Default: int64(255), Max: 255, Aliases: []string{"max_replica_connections"}, Description: "Replicas that a session is connected to at most"},
		{Name: "slave_connections", Type: param.TypeCount, Default: int64(255), Max: 255, Aliases: []string{"replica_connections"}, Description: "Replicas that a session is connected to at first"},
		{Name: "max_replication_lag", Type: param.TypeDuration, Default: time.Duration(0), Aliases: []string{"max_slave_replication_lag"}, Description: "How far behind a replica may be; 0 is any time"},
		{Name: "slave_selection_criteria", Type: param.TypeEnum, Default: leastOperations, Aliases: []string{"replica_selection_criteria"},
			Enum: []string{leastOperations, adaptive, leastBehind, leastGlobalConnections, leastRouterConnections},
			EnumAliases: map[string]string{"LEAST_CURRENT_OPERATIONS": leastOperations, "ADAPTIVE_ROUTING": adaptive, "LEAST_BEHIND_MASTER": leastBehind,
				"LEAST_GLOBAL_CONNECTIONS": leastGlobalConnections, "LEAST_ROUTER_CONNECTIONS": leastRouterConnections},
			Description: "By what a replica is chosen for a read"},
		{Name: "use_sql_variables_in", Type: param.TypeEnum, Default: "all", Enum: []string{"all", "master"}, Description: "Where reads with user variables go"},
		{Name: "master_failure_mode", Type: param.TypeEnum, Default: failOnWrite, Enum: []string{failInstantly, failOnWrite, errorOnWrite}, Description: "What becomes of sessions without a master"},
		{Name: "delayed_retry_timeout", Type: param.TypeDuration, Default: 10 * time.Second, Description: "How long a statement waits for a server"},
		{Name: "causal_reads", Type: param.TypeEnum, Default: causalNone,
			Enum: []string{causalNone, causalLocal, causalGlobal, causalFast, causalFastGlobal, causalUniversal, causalFastUniversal},
			EnumAliases: map[string]string{"false": causalNone, "off": causalNone, "no": causalNone, "0": causalNone,
				"true": causalLocal, "on": causalLocal, "yes": causalLocal, "1": causalLocal},
			Description: "Whose writes reads are sure to see"},
		{Name: "causal_reads_timeout", Type: param.TypeDuration, Default: 10 * time.Second, Description: "How long a replica is waited for before the master is read"},
		{Name: "router_options", Type: param.TypeString, Deprecated: true, Ignored: true},
	}
}

func replaySpecs() param.Specs {
	return append(param.Specs{
		{Name: "transaction_replay_max_size", Type: param.TypeSize, Default: int64(1 << 20), Description: "Size of the transactions that are done again at most"},
		{Name: "transaction_replay_attempts", Type: param.TypeCount, Default: int64(5), Description: "How often one is done again at most"},
		{Name: "transaction_replay_timeout", Type: param.TypeDuration, Default: 30 * time.Second, Description: "How long that is tried at most"},
		{Name: "transaction_replay_checksum", Type: param.TypeEnum, Default: checksumFull, Enum: []string{checksumFull, checksumResultOnly, checksumNoInsertID}, Description: "What must be the same when it is done again"},
	}, bools(
		param.Spec{Name: "transaction_replay", Description: "Do a transaction again when its server is lost"},
		param.Spec{Name: "transaction_replay_retry_on_deadlock", Description: "Do a transaction again after a deadlock"},
		param.Spec{Name: "transaction_replay_retry_on_mismatch", Description: "Try again when the results were different"},
		param.Spec{Name: "transaction_replay_safe_commit", Default: true, Description: "Do not do a transaction again that may have been committed"},
	)...)
}

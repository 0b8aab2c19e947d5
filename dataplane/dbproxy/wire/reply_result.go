package wire

// Command is the command that is answered.
func (r *Reply) Command() Command { return r.command }

// Status are the flags of the last OK or EOF packet.
func (r *Reply) Status() Status { return r.status }

// Warnings is the number of warnings in the last OK or EOF packet.
func (r *Reply) Warnings() uint16 { return r.warnings }

// AffectedRows is that of the last OK packet.
func (r *Reply) AffectedRows() uint64 { return r.affected }

// LastInsertID is that of the last OK packet.
func (r *Reply) LastInsertID() uint64 { return r.insertID }

// Rows is the number of rows so far, of all result sets.
func (r *Reply) Rows() uint64 { return r.rows }

// ResultSets is the number of result sets that have begun.
func (r *Reply) ResultSets() uint64 { return r.results }

// Columns is the number of columns of the last result set.
func (r *Reply) Columns() int { return r.columns }

// Size is the sum of the lengths of the packets so far, with MaxPayload for
// those that are longer.
func (r *Reply) Size() uint64 { return r.size }

// Prepared is the statement that COM_STMT_PREPARE has made.
func (r *Reply) Prepared() Prepared { return r.prepared }

// Failed tells whether the answer has ended with an error.
func (r *Reply) Failed() bool { return r.failed }

// ErrorCode is the number of that error, or 0.
func (r *Reply) ErrorCode() uint16 { return r.code }

// ErrorMessage is its text, valid until the next Start.
func (r *Reply) ErrorMessage() []byte { return r.message }

// Err is that error as a *ServerError, or nil.
func (r *Reply) Err() error {
	if !r.failed {
		return nil
	}
	e := &ServerError{Code: r.code, Message: string(r.message)}
	if r.hasState {
		e.State = string(r.sqlState[:])
	}
	return e
}

// SessionState lists what has changed in the session by the whole answer,
// valid until the next Start. It is incomplete when lost is true, because
// there was too much.
func (r *Reply) SessionState() (changes SessionState, lost bool) {
	return SessionState(r.session), r.stateLost
}

package store

import "time"

// Fault gives a driver's error its kind.
var Fault = fault

// SetPatience shortens the wait for a connection that may write.
func (db *DB) SetPatience(d time.Duration) { db.patience = d }

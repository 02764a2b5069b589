// Package live fans events out to everybody who watches. One reader follows the
// journal for the whole process; each watcher has a bounded queue of its own.
//
// A watcher that does not read holds up nobody: when its queue is full it is
// dropped and can come back with the [Cursor] of the last event that it has. What
// it missed is read from the shared memory of the last events, else from the
// journal. Nothing is sent that is not durable.
//
// A flood is not for reading: over a limit a second events are counted instead
// of sent, and the watcher is told how many. The journal and the search have
// them all.
package live

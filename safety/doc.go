// Package safety holds what keeps machines safe while somebody decides: approval,
// lock and fact are pure state machines, on the server and on the device alike;
// stop is the server's stop path.
//
// The machines are values. An operation takes the state, the operation and the
// time and returns the next state or a refusal; it reads no clock and touches no
// disk, so the same operations in the same order give the same state anywhere:
// authority on the server is a fold over the audit log. A clock that goes
// backwards never makes any of them more permissive.
//
// They are control locks and permits beside certified safety equipment, never
// instead of it.
package safety

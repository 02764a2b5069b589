// Package stop is the stop path of the server: from a person's request to signed
// stop orders on the devices' streams. It needs nothing but identity and scope,
// and it imports no database, no policy engine, no audit log and no keys
// process, so none of them can be in its way (TRUST F06).
//
// A trip goes like this, in memory and in microseconds:
//
//	Handler (own listener) ─► Service.Trip ─► Hub: wakes the streams of the devices
//	                                │          in scope; each signs its own order
//	                                ├─► Ring: a record, written in parallel
//	                                └─► the answer: NOT CONFIRMED, by name
//
// The effect comes first. The record goes to a [Ring], a small file that is
// written in full when it is created, so a full disk can't refuse it; its disk
// is never waited for. When the audit log can take it, [Service.Run] moves the
// record there, marked deferred.
//
// A stop is latched: it stays active, is given to every device that connects
// later, and comes back from the ring after a restart, until a reset ends it.
// That a device may really start again is not decided here: the device demands
// the threshold of the trust root. Where this package is in doubt, the stop
// stays.
//
// A stop here is a stop request and a control lock. It works in addition to,
// never instead of, hard-wired emergency stop and physical lockout.
package stop

// Package sigmatest runs rule tests: load events, expect alerts. The rules that
// ship with the product are tested with it, and `interlock rules test` gives it
// to everybody who writes rules. The test runs the real thing: normaliser,
// engine, windows and the folding of alerts are those of the server; only the
// tables are replaced by memory.
//
// A test is a text file beside the rules:
//
//	# A line that begins with # is a comment.
//	rules sshd_*.yml                 files, relative to the test
//
//	load 5s                          one event each five seconds from 0s on
//	  sshd Failed password for u{i} from 203.0.113.9 port 4{i} ssh2 *9
//	load 1s from 45s late 4m         from 45s on, each received 4m later
//	  sshd Failed password for u9 from 203.0.113.9 port 49 ssh2
//	eval at 10m                      everything received until then
//	  events 10                      how many events were loaded by then
//	  sshd-credential-stuffing count=10 src_endpoint.ip=203.0.113.9
//	clear                            forget events, keep rules
//
// The alerts below an eval are all alerts there are: one more or one less is a
// failure, and none listed means none expected. After the rule's name (its id
// where it has none) stand conditions: count, severity, provenance, simulated,
// device, source, author, or a field of the alert's group.
//
// Events are written as one of
//
//	sshd MESSAGE                     a line of sshd in a log file
//	file PROGRAM MESSAGE             a line of another program
//	journald PROGRAM MESSAGE         the same from the journal
//	syslog ADDRESS PROGRAM MESSAGE   over UDP: an unauthenticated peer
//	device ID {"type":"...","fields":{...}}   a device's own signed event
//	fleet ID {"type":"...","fields":{...}}    what the server noticed; ID may be -
//	json SOURCE {"...":...}          any fields from an authenticated peer
//
// A line of sshd, file or syslog may name the host that wrote it: "sshd@web-1".
//
// "*9" at the end makes nine of it, and "{i}" counts them from 0.
package sigmatest

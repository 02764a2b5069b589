// Package lifecycle drives every finding to a verified end: one state per finding,
// append-only events, and no way to be closed but by proof or by a judgement that
// somebody answers for.
//
// It stands on scanning, whose reports and inventories it takes in, and below api
// and app. It publishes each change on the topic "findings"; what must reach
// detection leaves through a [Notice], of which app makes an event.
//
// # States
//
//	introduced ─► discovered ─► triaged ─► affected ─► remediating ─► fixed-pending-verification ─► verified
//	 (inferred)                    │           ▲                                  │                    │
//	                               │           └────── it came back ──────────────┴────────────────────┘
//	                               └─► risk-accepted (until a day) │ not-affected │ false-positive │ duplicate
//
// "introduced" is inferred, from the commit that wrote the line or from the first
// inventory that had the package; no finding rests there. Verified is reached in
// one way: a later report of each detector that ever saw the finding, on the same
// scope, whole where the finding was, in which it is not ([Covers]). Silence of
// another scanner, of an older version, of a scan with a gap there or of another
// part of the tree closes nothing. A secret that is gone from a file is still
// known to whoever read it: silence verifies it only after a person said that it
// is revoked.
//
// A look is as old as when somebody looked, not as when its report came: a stored
// inventory that newer advisories are asked about proves and refutes nothing of
// what was said since it was taken. Each scope of a subject has its own inventory,
// and says with which advisories it was matched last, so that what is behind is
// found again after any interruption ([Store.BehindOf]).
//
// A VEX statement closes a finding only where the operator's configuration names
// its author ([Store.Trusting], nobody by default), in that author's name, with one
// of VEX's justifications, and only for as long as the author says so. What a
// person judged, or took back, stands over it.
//
// Disclosure and exploitation are facts about an advisory ([Fact]), not states of
// a finding: they re-rank all its findings and shorten their clocks. A clock runs
// from discovery, or from the return of what had been verified; it is shortened,
// never lengthened and never paused.
//
// # What is promised
//
//   - A report that comes twice changes nothing the second time. The same reports
//     in order of time give the same states, however often each is repeated.
//   - What one transaction of [Store] does, rows, events, audit facts and records
//     of the topic, commits together or not at all.
//   - A judgement about a finding that two persons are needed for has two: who
//     asks for a risk to be accepted never approves it, and what is approved is what
//     was asked: that request, of that risk.
package lifecycle

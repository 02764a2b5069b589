// Package playbook carries out what was decided in advance: a playbook is data
// (YAML, read strictly), a run is a row that pins the playbook's digest, and
// every attempt of every step is a row before it has any effect.
//
// It stands between response/incident, whose topic "incidents" its [Stage]
// reads, and response/action, which alone reaches the fleet. platform/jobs
// carries it over a restart.
//
// # Where a run stands
//
//	proposed ─► running ─► done      verification closed the incident
//	    ▲          │  ├──► failed    a person has to look; the timeline says at what
//	    └──────────┘  └──► stopped   people took the incident another way
//
// A person starts a run that is proposed, failed or stopped, or one that is done
// and whose incident was reopened; it goes on where the incident stands. Round,
// step and attempt name a place in the run, and each place is worked on once:
// whoever comes second (a late job, a late answer, another server) finds the run
// elsewhere and does nothing.
//
// # What a crash does
//
// An attempt is a row before it has an effect, has its effect under the
// idempotency key of its place, and moves the run on in the transaction that
// takes the answer in. A crash in between does the attempt again under the same
// key: an order asked for twice is one order, and a device refuses an order id
// that it has seen. There is no action that could not be repeated in this way;
// one that can't would need a job of its own that is not idempotent.
//
// # When an attempt comes to nothing
//
// Parts of this server that are away (database, log, keys process), approvals
// and silent devices are waited for until the step's deadline. What was
// overtaken (an order refused as a replay, superseded, expired) is tried again
// under a new key, as often as the step's retries say. What was refused, and
// what a device answered that it could not do, fails the run at once.
//
// # What starts by itself
//
// A playbook starts by itself only on evidence whose peer proved who it is, and
// only against that peer (TRUST F17). Anything weaker, simulated evidence
// outside a simulation, or a target that the evidence doesn't name proposes the
// run and waits for a person.
package playbook

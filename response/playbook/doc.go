// Package playbook carries out what was decided in advance: a playbook is data
// (YAML, read strictly), a run is a row that pins the playbook's digest, and
// every attempt of every step is a row before it has any effect.
//
// It stands between response/incident, whose topic "incidents" its [Stage]
// reads, and response/action, which alone reaches the fleet. platform/jobs
// carries it over a restart.
//
// # What a crash does
//
// A step writes "running" in a transaction, has its effect under the
// idempotency key run/step, then writes the outcome. A crash in between runs
// the step again under the same key: an order created twice is one order, and a
// device refuses an order id that it has seen. A step that can't be repeated
// becomes uncertain and asks a person.
//
// # What starts by itself
//
// A playbook starts by itself only on evidence whose peer proved who it is, and
// only against that peer (TRUST F17). Anything weaker, simulated evidence
// outside a simulation, or a target that the evidence doesn't name proposes the
// run and waits for a person.
package playbook

// Package incident is what becomes of an alert that matters: one object per
// thing under attack and kind of attack, which people and playbooks move
// through a closed list of states until verification, and nothing else, closes
// it.
//
// It stands between siem, whose topic "alerts" its [Stage] reads, and
// response/playbook, which reads the topic "incidents" that the stage writes.
// The machine (machine.go) is pure: a table of edges that says who may take
// each and what it needs. The store keeps the rows response_incidents and
// response_timeline; a step and its audit fact commit together.
//
// # States
//
//	new ─► triaged ─► contained ─► eradicating ─► recovering ─► verifying ─► closed ─► reviewed
//	                                                                │          │
//	                                                                └► reopened ◄┘
//
// Beside them stand merged (into another incident) and false-positive (with a
// reason). A failed verification reopens. A result that is not a pass, such as
// a sensor that could not be read, leaves the incident in verifying: nothing is
// green by default.
package incident

// Package tuning is what a site makes of its detection rules, with proof: single
// rules taken out, and exclusions written as Sigma filters. It stands beside
// siem/detect, whose rule sets it tunes, below the audit log and the Guard.
//
// Every change has an owner and a reason; an exclusion has an end, at most a year
// away. Before an exclusion comes into force it is tried on the raw journal of
// the last days ([Tuning.StartTrial]): whoever asks for it hands in the hash of
// what that showed, and it comes into force only while the rules are still those
// that were tried. Without a trial it takes a reason of its own.
//
//	request ─► trial's hash fits? ─► Guard (intent) ─► row + authority entry ─► record in the journal
//
// What is believed is a fold over the audit log, the table siem_tuning its cache
// (TRUST F12). What the log does not know silences no rule: a row that says other
// is an alarm. An end is believed without a permit, because it only lets rules
// speak again. Ends that time brings come as a record of the journal, written
// when the time is over; a notice comes a week before.
//
// The tuning goes by the rule's id, so it survives a restart and an upgrade. An
// id that no rule has any more is told of ([Tuning.Strangers]) and harms nothing.
package tuning

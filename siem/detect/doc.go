// Package detect turns the raw journal into alerts, in two stages:
//
//	raw ──detect──► matches, watermarks ──correlate──► siem_alerts, topic "alerts"
//
// The detect stage runs once a partition. It normalises each event in memory,
// asks the Sigma engine, and publishes what matched; at each tick it publishes
// how far its partition has come (the watermark). The correlate stage has one
// owner, by lease and fencing token. It puts matches into windows and raises
// alerts; its windows are rows, written in the transaction that moves the
// cursor.
//
// # Time
//
// Nothing here looks at a clock. Windows lie in the events' own time; they are
// forgotten, or decided where a condition must wait, when the lowest watermark
// of all partitions has passed them. An event that arrives up to
// [correlate.Lateness] after its fellows is still counted with them. A change of
// rules is a record in the journal too. So the same journal gives the same
// alerts, live or replayed; ids and all.
//
// # What goes wrong
//
// A record that is no event is counted and passed over, and so is an event
// whose fields can't be laid out: what the normaliser knows of it still goes
// through the rules. An error of the database is returned, and the journal
// tries the frame again. A rule set that does not compile is refused before it
// reaches the journal (see [Announce]).
package detect

// Package correlate joins matches of Sigma rules in time: event counts, value
// counts and statistics, rules that fire together, in order, or not at all. It
// is pure state in memory: it does no input or output, looks at no clock, and
// the same facts and watermarks in the same order give the same firings, byte
// for byte. Whoever owns a [State] stores what changed ([State.Changes]) and
// gives it back ([State.Restore], [State.Resume]).
//
//	state := correlate.New(engine, correlate.Config{})
//	state.Take(fact, func(f correlate.Firing) { ... })     // one match
//	state.Advance(watermark, func(f correlate.Firing) { ... })
//	err := state.Changes(put, drop)                        // rows, in the owner's transaction
//
// # Time
//
// Windows lie in the events' own time. An event that arrives up to
// [Config.Lateness] after its fellows is counted with them at its own time; a
// time that lies in the future counts as the time of arrival. A condition that
// more events can't undo fires at once. One that they can undo (lt, eq, an
// average, an absence) is decided when the watermark says that nothing more is
// to be expected. A group is kept for its timespan and the lateness after the
// arrival of its last event.
//
// # Memory
//
// What the state costs is added up as it grows, and stays below
// [Config.Memory]. Where it would not, the group that matters least gives way:
// of those far from firing the one whose time is nearest to its end, so that a
// flood of made-up keys pushes out made-up keys. One group can hold a few times
// what its condition needs. Nothing goes silently: [Config.Evicted] hears of
// each group, [Firing.Lost] and [Stats] count each event.
package correlate

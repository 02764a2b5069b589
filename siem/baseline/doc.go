// Package baseline learns how much each log source usually sends, by the hour of
// the week, and says when one falls silent or sends far more than usual. A rule
// can only judge what arrives; this is what notices that nothing does.
//
//	raw ──baseline──► notices: source_silent, source_burst, source_back
//
// It reads the raw journal as the detect stage does and counts records; it opens
// none. Time moves only by the journal's frames, so a server that was off is not
// a source that was silent. What was noticed becomes an event like any other, and
// shipped rules make alerts of it.
//
// A [Signal] is pure: a count a bucket goes in, a [Verdict] comes out that names
// the count, what was expected and why. Devices are not counted: they have
// heartbeats, and the fleet tells of those that go dark.
package baseline

// Package sarif reads and writes SARIF 2.1.0, the format in which static analysis
// tools exchange results. It stands between the words of package scanning and
// everything outside: GitHub's and GitLab's code scanning, editors, and any
// scanner that isn't ours.
//
// # Out
//
// [Write] makes one run of each report. A report with gaps has an invocation with
// executionSuccessful=false and one toolExecutionNotification for each gap: a
// reader that looks at results alone still sees clean, one that follows the
// standard sees incomplete. Findings carry security-severity as GitHub reads it,
// and our fingerprint in partialFingerprints. What is suppressed (a mark in the
// line, a baseline, an accepted risk, a VEX statement, a part that isn't imported)
// is no result, because GitHub opens an alert for every result and passes its
// suppressions over: it stands whole, with its suppressions, in the run's
// property bag, and [Read] gives it back.
//
// # In
//
// [Read] takes any tool's log. What the tool says went wrong (a failed
// invocation, an error notification, a run without results, results kept in
// another file) is a gap, never a clean report; a tool that says nothing of its
// invocation is taken at its word, because not failing is what most don't say.
// Fingerprints are computed by [scanning.Fingerprint] from what the tool offers
// that survives edits: its own fingerprints, else the code, else the logical
// place; line numbers never take part. Other tools' suppressions and any VEX statements in a log
// are kept as tags and suppress nothing here: a log can't say whom to trust.
//
// Both are pure: no clock, no network, no file is opened, whatever a location
// says. Inputs are bounded by bytes, depth and number of parts.
package sarif

// Package advisory is an offline database of OSV advisories and the matcher
// that asks it. It needs no network: [Import] reads files, [Update] is the only
// function that fetches.
//
//	summary, err := advisory.Import(ctx, dir, advisory.Options{}, "npm/all.zip", "kev.json")
//	db, err := advisory.Open(dir)
//	defer db.Close()
//	findings, gaps := db.Match(packages, advisory.MatchOptions{})
//
// # What it promises
//
//   - OSV's evaluation, nothing less: enumerated versions, ranges with events in
//     any order, limits, several ranges. A test holds the indexed matcher against
//     a slow one that is written like the specification.
//   - Nothing is left out in silence. An advisory that can't be read, a version
//     that can't be ordered, an ecosystem that the database has no advisories
//     for, data older than allowed: each is a [scanning.Gap].
//   - A database is whole or refused. Its checksum covers every byte; it is
//     replaced by rename after the new one is on disk.
//
// # Where it stands
//
// Above scanning/priority, which judges the findings, and below the verbs, the
// lifecycle and campaigns. Campaigns ask [DB.Affected] for one advisory or
// [Diff] for everything that two databases differ in, and get predicates that
// can be asked about stored SBOMs without a scan.
//
// # Names
//
// Packages of distributions are matched by source package, as their advisories
// are written, and releases by [SameRelease]; names are folded per ecosystem by
// [NormalName]. Advisories that are aliases of each other become one finding per
// package with every name kept.
package advisory

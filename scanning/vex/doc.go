// Package vex reads and writes statements about whether a vulnerability matters
// in a product: OpenVEX, CSAF 2.0 and CycloneDX, in and out. It
// stands after the scanners and before the lifecycle.
//
//	doc, err := vex.Decode(file)
//	outcome := vex.Apply(findings, doc.Statements, vex.Policy{
//		Trusted: []vex.Author{{Name: "Acme PSIRT"}},
//		Subjects: []string{"pkg:oci/shop@sha256%3A..."},
//		Now: clock.Now(),
//	})
//
// # What may silence a finding
//
// A statement is a claim by somebody whose name stands in a file that anybody can
// write. [Apply] lets it silence a finding only if all of this holds: its author
// is configured as trusted (and, where configured, the file came from the place
// named for it); its product is the package, or what was scanned, by package url
// and version; it says why (not_affected has a justification or an impact
// statement; fixed names the version that is fixed); it is neither a draft,
// withdrawn nor older than the author's statements may be. Where an author
// contradicts itself the newest statement counts; where trusted authors
// contradict each other the more careful one does. Everything that matched and
// did not count is in the outcome, with the reason.
//
// # Disclosure
//
// [Advisory] is our own disclosure or somebody's: who was told when, what is
// affected, since when it may be known. [EncodeCSAF] refuses to write one for
// everybody while its embargo lasts. [DecodeAdvisory] takes CSAF and OSV in.
package vex

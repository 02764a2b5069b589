// Package sbom reads and writes software bills of materials: CycloneDX and SPDX.
// It stands between inventories (package inventory), which it publishes, and
// whoever matches advisories against what others publish.
//
// # Out
//
// [EncodeCycloneDX] writes CycloneDX 1.6 and [EncodeSPDX] SPDX 2.3, both as JSON.
// The same document gives the same bytes: time and serial number are the
// caller's. What the inventory could not read is in the bill (compositions and
// properties there, a comment and annotations here), so that nobody downstream
// takes it for complete.
//
// # In
//
// [Decode] reads CycloneDX 1.2 to 1.7 (JSON, XML), SPDX 2.2 and 2.3 (JSON,
// tag-value) and SPDX 3.0 (JSON-LD with SPDX's own context), told apart by
// content. Package urls become [scanning.Package] with OSV's ecosystem words. A
// component that no advisory can be matched against (no version, no package url,
// a distribution without its release) is kept and named in a gap. SPDX as RDF or
// YAML is recognised and refused.
//
// [Diff] says what came, went and changed between two bills: what introduced a
// vulnerability is in it.
package sbom

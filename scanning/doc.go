// Package scanning is what every scanner says in the same words: a [Finding], the
// [Report] it stands in, and the [Scanner] that made it. Code, web and host
// scanners fit into the same slot as those for secrets and dependencies, and so
// does any other program that writes SARIF.
//
// A report is never clean by default. What could not be read, was too large or
// whose database is stale is a [Gap], and a report with gaps is incomplete
// whatever else it says.
package scanning

// Package imports reads what other scanners wrote, so that their findings take
// the same way as ours: Trivy, Grype, gitleaks, OSV-Scanner, npm audit,
// govulncheck, gosec, CycloneDX with vulnerabilities, and anything as SARIF.
//
// [Read] tells the format by its content. A format that nobody knows is an error
// that lists those that are. What a tool says it could not do, and what of a
// result could not be read, becomes a gap: a foreign report is no cleaner than
// its scanner says.
//
// Secrets that a report has in clear text are redacted here and go no further.
// Severities become ours; where a tool says "unknown" the finding is medium,
// because unknown isn't harmless. Fingerprints are computed by
// [scanning.Fingerprint], so that a re-import finds its findings again.
package imports

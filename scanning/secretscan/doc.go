// Package secretscan fits the secret scanner of secrets/detect into the slot of
// [scanning.Scanner]: leaks become findings, what could not be read becomes gaps.
//
// It adds what a project says of itself: the rules and exceptions of a .gitleaks.toml,
// the leaks listed in a .gitleaksignore, a baseline of what is known already. What is
// left out by any of these is written into the report's scope, so that nobody takes
// silence about it for a proof. Only redactions leave this package.
package secretscan

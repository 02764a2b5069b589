// Package gitleaks reads what users of gitleaks already have: their
// .gitleaks.toml with everything that it may say ([extend], [[rules]] with
// composite ones, [[allowlists]] and the older [allowlist]), and their
// .gitleaksignore. What it makes is a [detect.Config], which finds what gitleaks
// finds.
//
// It stands on secrets/detect. Of gitleaks itself only the text of its default
// rules is used. What is wrong in a file is told with its line and with what to
// write instead.
package gitleaks

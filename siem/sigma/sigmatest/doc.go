// Package sigmatest runs rule tests: load events, expect alerts. The rules that
// ship with the product are tested with it, and `interlock rules test` gives it
// to everybody who writes rules. The test runs the real thing: normaliser,
// engine, windows and the folding of alerts are those of the server; only the
// tables are replaced by memory.
//
// docs/reference/rule-tests.md specifies the language; its examples are run.
package sigmatest

// Package archtest holds the rules of the house as tests: which folder may
// import which, who may touch a database driver, who owns a table, that every
// package says what it is. The list of folders is read from ARCHITECTURE.md, so
// the page and the code can't drift apart.
package archtest

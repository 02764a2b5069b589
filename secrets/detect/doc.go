// Package detect finds secrets where none should be: in files, in the history of
// repositories, in archives, in images, in configuration and in events.
//
// It is a library of its own. It knows nothing of a vault, of findings or of a
// server; it imports core and the standard library. A [Rule] says what a secret
// looks like, a [Grammar] finds what no single pattern can, and the scanner asks
// both of a text in one pass. What it finds is a [Leak], which never prints the
// secret: only its redaction leaves this package unless a caller reveals it.
package detect

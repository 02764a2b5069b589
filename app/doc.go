// Package app wires the folders together: it opens what a server needs in the
// order in which it is needed, fills the interfaces that earlier folders own,
// runs the stages, and takes everything down again. pipeline.go is the table of
// the flow. No rule about security lives here; this package decides nothing, it
// connects.
package app

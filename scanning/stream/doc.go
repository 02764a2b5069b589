// Package stream looks for secrets in what comes in: a stage of the journal that reads
// raw events and hands what it finds to a [Sink] within its transaction.
//
// A secret in a log is a finding of the source that wrote it. The same one comes again
// with every line, so what it stands in is folded (numbers, hexadecimal, times) before
// it gets its fingerprint, one fingerprint is told once an hour, and a source may have
// so many of a rule in an hour; beyond, one gap says so. A report of this stage never
// proves that something is fixed: what is not in this event may be in the next one.
//
// The stage goes by the times of frames alone. It keeps in memory only what it has
// told lately; after a restart it may tell that again, which changes nothing.
package stream

// Package scan reads one JSON object for siem/sigma: a single pass over the
// bytes that checks all of it against RFC 8259 and lays out its values as a
// flat list, each with the number that a [Table] has for its path. It copies
// nothing and allocates nothing once its list has grown; what a value says is
// only worked out by whoever asks ([Value.Raw], [AppendText]).
package scan

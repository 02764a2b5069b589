// Package needle finds which of many fixed texts stand in a value, at a cost
// that hardly grows with their number. siem/sigma asks it which rules are worth
// looking at.
//
// [Set] finds texts anywhere in a value. Each text is known by a few of its
// 4-byte windows, the rarest ones; a value is read at every stride-th place, and
// a small bitmap says for nearly all of them that no window of any text is
// there. What is left is looked up and compared in full. There is no automaton:
// no step waits for the one before it, and the bitmap stays in the nearest cache.
//
// [Ends] finds texts that are the whole, the beginning or the end of a value,
// by hashes of at most eight bytes at either end.
//
// Texts and values are bytes that the caller has folded. A value that was not
// folded can still be asked whether anything could stand in it ([Set.Maybe]).
package needle

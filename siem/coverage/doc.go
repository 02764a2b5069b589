// Package coverage says which rules can fire at all, given the logsources and
// fields that events really had: what is seen is noted by [Seen] in bounded
// memory, and [New] puts a set of rules beside it. A rule that is loaded and
// can't fire is worse than none, for it is counted as protection.
//
// It stands beside detection and changes nothing: it reads events and compiled
// rules, and owns no table. What it promises: a rule that it says can't fire
// would not have fired for any event that was seen; for the others it knows
// names and not values, so "can fire" is not "will".
package coverage

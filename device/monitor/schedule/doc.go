// Package schedule says how a device is armed by the time of day. It stands
// below device/monitor: the agent asks it every minute, and the access judge
// asks it which doors may open.
//
// A schedule is pure: it maps what is known of the time ([Trusted]) to an
// answer and keeps nothing. Whatever lies outside its windows is armed. Where
// the time is known only within bounds, a window counts only if now certainly
// lies in it; without an upper bound nothing is granted, so a device that can't
// prove the time any more is armed, whatever its clock shows (TRUST F18).
//
// Windows are in the wall time of a zone. When clocks change, a window never
// opens early and never closes late: it opens at the later and closes at the
// earlier of two instants that bear the same name, and an end that is skipped is
// the instant of the change.
package schedule

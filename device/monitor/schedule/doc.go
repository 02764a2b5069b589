// Package schedule says how a device is armed by the time of day. It stands
// below device/monitor: the agent asks it, the access judge does too.
package schedule

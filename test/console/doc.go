// Package console drives the console as people use it: Debian's Chromium with a
// virtual passkey, against the real server, its children and a real agent. The
// one thing that is simulated is the sensor of the case, and it says so.
//
// Every tab is watched all the time: a violated content security policy, an
// exception, a message on the browser's console, an answer that nobody expected
// and a request to another host each fail the test that they happen in.
//
// Pictures of every page, in light, in dark and as wide as a phone, are taken
// for the folder that INTERLOCK_SHOTS names, to be looked at.
package console

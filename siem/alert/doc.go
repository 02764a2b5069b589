// Package alert keeps what detection found. It stands between siem/detect,
// which raises, and the topic "alerts", from which incidents and notifications
// come; api/ lists, shows and acknowledges through it.
//
// One alert stands for one thing going on: the same rule, about the same group
// (an address, a device and its sensor), until nothing more of it comes for
// [Quiet]. Every further event counts up; an event counts once, however often
// it is delivered. Nothing here ever drops an event: events stay in the
// journal, alerts point at them.
//
// What is limited is talk: the topic hears of an alert when it opens, when it
// gains severity or standing, and at most once per [RenotifyAfter] while it
// goes on. What was held back is counted and shown (Suppressed).
//
// Standing (TRUST F17): an alert is worth what the events prove that raise it
// by themselves. A forged line beside real ones neither lifts an unproven alert
// nor pulls a proven one down. Simulated and real events never share an alert.
package alert

// Package explain says in plain words what rules make of one event: which fired
// and on what, which nearly fired and what was missing or what stopped them, and
// which logsource the event is of. The answers are those of the live engine
// ([sigma.Engine.Explain]); here they get the form in which the API answers and
// the command line prints, so that both tell the same story.
//
// It stands beside detect, reads events as detect does, and prints nothing.
package explain

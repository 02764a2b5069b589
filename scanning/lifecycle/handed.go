package lifecycle

import (
	"slices"
	"time"
)

// heard is said while a report is taken in: the audit log has it as it has what a
// document does on the day that it comes.
func (b *batch) heard(f Finding, at time.Time) (Finding, []Event, error) {
	f, events, err := b.said(f, at)
	if err != nil || len(events) == 0 {
		return f, events, err
	}
	return f, events, b.fact(f, events[len(events)-1], "finding.vex")
}

// handedIn names in what a document does whoever brought it, and what permitted it:
// a statement speaks in its author's name, who never asked for anything here.
func handedIn(events []Event, c Change) []Event {
	for i := range events {
		events[i].Intent = c.Intent
		events[i].Refs = append(slices.Clone(events[i].Refs), "handed-in/"+c.By.String())
	}
	return events
}

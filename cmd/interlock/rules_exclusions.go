package main

import (
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/siem/detect/tuning"
)

type rulesExclusionsCmd struct {
	All bool `help:"Ended and expired ones too."`
}

// Help implements kong's long help.
func (rulesExclusionsCmd) Help() string {
	return `What was made of the rules here: those that are out of force, and the exclusions, with owner, reason and end.

Exit code 1 when some of it speaks of rules that do not exist any more, or is not believed.

Example:
  interlock rules exclusions
  interlock rules exclusions --all --json`
}

// Run lists them.
func (c *rulesExclusionsCmd) Run(e *env) error {
	var list api.RuleChanges
	if err := e.client().Get(e.ctx, "/v1/rules/changes", url.Values{"all": {strconv.FormatBool(c.All)}}, &list); err != nil {
		return err
	}
	if err := e.show(list, func(w io.Writer) { tellChanges(w, list) }); err != nil {
		return err
	}
	if len(list.Strangers) > 0 || len(list.Doubts) > 0 {
		return errFindings
	}
	return nil
}

func tellChanges(w io.Writer, list api.RuleChanges) {
	if len(list.Items) == 0 {
		none(w, "exclusions, and no rule is out of force")
	}
	rows := make([][]string, 0, len(list.Items))
	for _, c := range list.Items {
		rows = append(rows, []string{c.ID, string(c.Kind), string(c.State), untilDay(c.Until), c.Owner, c.Title, c.Reason, bornOut(c)})
	}
	if len(rows) > 0 {
		table(w, "ID WHAT STATE UNTIL OWNER TITLE REASON PROOF", rows)
	}
	for _, name := range list.Strangers {
		_, _ = fmt.Fprintf(w, "no rule has the id or name %s any more\n", oneLineOf(name))
	}
	for _, object := range slices.Sorted(maps.Keys(list.Doubts)) {
		_, _ = fmt.Fprintf(w, "%s is not believed: %s\n", oneLineOf(object), oneLineOf(list.Doubts[object]))
	}
}

func untilDay(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.UTC().Format(time.DateOnly)
}

// bornOut says what bore a change out.
func bornOut(c tuning.Change) string {
	switch {
	case c.Trial != "":
		return "back-test " + short(c.Trial)
	case c.Untried != "":
		return "NOT TRIED: " + c.Untried
	}
	return "-"
}

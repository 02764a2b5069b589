package main

import (
	"fmt"
	"io"
	"strconv"

	"github.com/interlock-security/interlock/api"
)

type rulesListCmd struct {
	listing
	All  bool   `help:"Every rule; otherwise those that had alerts in the last seven days and those that are tuned."`
	Text string `arg:"" optional:"" help:"Only rules with this text in title, name, id or file."`
}

// Help implements kong's long help.
func (rulesListCmd) Help() string {
	return `The rules that the server judges events by, those with most alerts in the last seven days first. "feeds" is a rule that raises no
alert of its own because a correlation counts it.

Example:
  interlock rules list
  interlock rules list --all --limit 0 --json
  interlock rules list ssh`
}

// Run lists rules.
func (c *rulesListCmd) Run(e *env) error {
	query := filter("text", c.Text)
	query.Set("all", strconv.FormatBool(c.All))
	list, err := fetch[api.Rule](e, c.listing, "/v1/rules", query)
	if err != nil {
		return err
	}
	return e.show(list, func(w io.Writer) { tellRules(w, list) })
}

func tellRules(w io.Writer, list []api.Rule) {
	if len(list) == 0 {
		none(w, "rules with alerts; all of them with --all")
		return
	}
	rows := make([][]string, 0, len(list))
	for _, r := range list {
		rows = append(rows, []string{r.ID, strconv.Itoa(r.Alerts), r.Level, stateOfRule(r), r.Title, "by " + r.Author})
	}
	table(w, "ID ALERTS LEVEL STATE TITLE AUTHOR", rows)
}

// stateOfRule is the state with what bears it out.
func stateOfRule(r api.Rule) string {
	text := r.State
	if c := r.Change; c != nil && r.State == api.RuleDisabled {
		text += " by " + c.Owner + ends(c.Until)
	}
	if r.Exclusions > 0 {
		text += fmt.Sprintf(", %d exclusions", r.Exclusions)
	}
	return text
}

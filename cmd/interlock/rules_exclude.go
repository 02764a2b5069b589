package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/detect/tuning"
)

type rulesExcludeCmd struct {
	File            string `arg:"" help:"A Sigma filter with owner, reason and expires." type:"existingpath"`
	Days            int    `help:"How many days of the journal are tried." default:"7"`
	Yes             bool   `help:"Bring it into force without asking." short:"y"`
	WithoutBacktest bool   `help:"Try nothing; needs --reason."`
	Reason          string `help:"Why there is no back-test." short:"m"`
}

// Help implements kong's long help.
func (rulesExcludeCmd) Help() string {
	return `Tries the exclusion on the last days of the journal, shows the alerts that it would have taken away, asks, and brings it into
force: exactly what was shown, or nothing. It ends by itself on the day that the file names (expires), a year away at most; an alert says
so a week before. The act is in the audit log, and an alert tells everybody.

Exit code 0 when it is in force, 1 when you did not agree.

Example:
  interlock rules exclude not-the-scanner.yml
  interlock rules exclude not-the-scanner.yml --days 2 --yes`
}

// excluded is what became of it.
type excluded struct {
	Backtest *tuning.Trial  `json:"backtest,omitempty"`
	Change   *tuning.Change `json:"change,omitempty"`
}

// Run tries, shows, asks and does it.
func (c *rulesExcludeCmd) Run(e *env) error {
	text, err := readLimited(c.File, 64<<10)
	if err != nil {
		return err
	}
	ask := api.Exclude{Filter: string(text)}
	var done excluded
	switch {
	case c.WithoutBacktest && strings.TrimSpace(c.Reason) == "":
		return core.E(core.KindInvalid, "rules exclude", "--without-backtest needs --reason")
	case c.WithoutBacktest:
		ask.Untried = c.Reason
	default:
		t, err := backtest(e, api.Trying{Exclusion: ask.Filter, Days: c.Days})
		if err != nil {
			return err
		}
		done.Backtest, ask.Backtest = &t, t.Hash
		if agreed, err := c.agreed(e, t); err != nil || !agreed {
			return err
		}
	}
	if err := e.client().Post(e.ctx, "/v1/rules/exclusions", ask, &done.Change); err != nil {
		return err
	}
	return e.show(done, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%s is in force%s; %s\n", oneLineOf(done.Change.Title), ends(done.Change.Until), oneLineOf("end it with: interlock rules enable "+done.Change.ID))
	})
}

// agreed shows what a back-test showed and asks. What is read by a program is
// asked for with --yes.
func (c *rulesExcludeCmd) agreed(e *env, t tuning.Trial) (bool, error) {
	tellTrial(e.err, t)
	if !t.Result.Complete {
		return false, incomplete()
	}
	if c.Yes {
		return true, nil
	}
	if !onTerminal(e.err) || !onTerminal(os.Stdin) {
		return false, core.E(core.KindInvalid, "rules exclude", "nobody is there to ask").WithHint("look at it and say --yes")
	}
	_, _ = fmt.Fprint(e.err, "Bring it into force? [y/N] ")
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil && answer == "" {
		return false, errFindings
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return false, errFindings
	}
	return true, nil
}

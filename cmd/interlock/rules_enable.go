package main

import (
	"fmt"
	"io"
	"net/url"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/siem/detect/tuning"
)

type rulesEnableCmd struct {
	ID     string `arg:"" help:"The id of the rule, or of the exclusion that is to end."`
	Reason string `help:"Why." required:"" short:"m"`
}

// Help implements kong's long help.
func (rulesEnableCmd) Help() string {
	return `Brings a rule back that was taken out, or ends an exclusion. The act is in the audit log.

Example:
  interlock rules enable 7c3b0b06-6d0d-4a7e-9a59-0b2f0f3b5a01 --reason "the scanner has moved"`
}

// Run lets a rule speak again.
func (c *rulesEnableCmd) Run(e *env) error {
	var done tuning.Change
	if err := e.client().Post(e.ctx, "/v1/rules/"+url.PathEscape(c.ID)+"/restore", api.RestoreRule{Reason: c.Reason}, &done); err != nil {
		return err
	}
	return e.show(done, func(w io.Writer) {
		what := "speaks again"
		if done.Kind == tuning.KindExclude {
			what = "does not exclude any more"
		}
		_, _ = fmt.Fprintf(w, "%s %s\n", oneLineOf(done.Title), what)
	})
}

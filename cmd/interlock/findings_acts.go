package main

import (
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

// oneFinding is what the verbs on one finding have in common.
type oneFinding struct {
	ID string `arg:"" help:"The finding's id."`
}

// act posts to a finding and tells how it stands then.
func (c oneFinding) act(e *env, what string, body any) error {
	var f lifecycle.Finding
	if err := e.client().Post(e.ctx, "/v1/findings/"+url.PathEscape(c.ID)+"/"+what, body, &f); err != nil {
		return err
	}
	return e.show(f, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "finding %s is %s\n", f.ID, f.State)
		if f.State == lifecycle.StateFixed {
			_, _ = fmt.Fprintln(w, "scan the same scope again and hand the report in: that verifies it")
		}
	})
}

type findingsTriageCmd struct {
	oneFinding
	Reason string `help:"What you found; needed where a judgement is taken back." short:"m"`
}

// Help implements kong's long help.
func (findingsTriageCmd) Help() string {
	return `Also takes back that a finding is a false positive, a duplicate or affects nothing.

Example:
  interlock findings triage 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55`
}

// Run triages a finding.
func (c *findingsTriageCmd) Run(e *env) error {
	return c.act(e, "move", api.MoveFinding{To: lifecycle.StateTriaged, Reason: c.Reason})
}

type findingsAffectedCmd struct {
	oneFinding
	Reason string `help:"Why; needed where it is taken back that it is being fixed or accepted." short:"m"`
}

// Help implements kong's long help.
func (findingsAffectedCmd) Help() string {
	return `Example:
  interlock findings affected 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55 -m "the parser is reached from the upload page"`
}

// Run confirms a finding.
func (c *findingsAffectedCmd) Run(e *env) error {
	return c.act(e, "move", api.MoveFinding{To: lifecycle.StateAffected, Reason: c.Reason})
}

type findingsRemediatingCmd struct {
	oneFinding
	Reason string `help:"What is being done." short:"m"`
}

// Help implements kong's long help.
func (findingsRemediatingCmd) Help() string {
	return `Example:
  interlock findings remediating 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55 -m "upgrade in review"`
}

// Run says that a fix is under way.
func (c *findingsRemediatingCmd) Run(e *env) error {
	return c.act(e, "move", api.MoveFinding{To: lifecycle.StateRemediating, Reason: c.Reason})
}

type findingsFixedCmd struct {
	oneFinding
	Reason string `help:"What was done: a patch, another configuration, a control that compensates, a secret revoked." short:"m"`
}

// Help implements kong's long help.
func (findingsFixedCmd) Help() string {
	return `The finding stays open until a later scan by the same detector, on the same scope and with nothing left out there, does not have it any more.

Example:
  interlock findings fixed 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55 -m "upgraded to 1.0.1 in 4f2a91c"`
}

// Run says that a finding is fixed.
func (c *findingsFixedCmd) Run(e *env) error {
	return c.act(e, "move", api.MoveFinding{To: lifecycle.StateFixed, Reason: c.Reason})
}

type findingsNotAffectedCmd struct {
	oneFinding
	Reason        string `help:"Why, in a sentence." short:"m" required:""`
	Justification string `help:"VEX's word for it: ${enum}." enum:"component_not_present,vulnerable_code_not_present,vulnerable_code_not_in_execute_path,vulnerable_code_cannot_be_controlled_by_adversary,inline_mitigations_already_exist,revoked" required:""`
}

// Help implements kong's long help.
func (findingsNotAffectedCmd) Help() string {
	return `revoked is for a secret that opens nothing any more; the others are those of VEX.

Example:
  interlock findings not-affected 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55 --justification vulnerable_code_not_in_execute_path -m "XML is never parsed"`
}

// Run says that a finding affects nothing.
func (c *findingsNotAffectedCmd) Run(e *env) error {
	return c.act(e, "dismiss", api.DismissFinding{To: lifecycle.StateNotAffected, Reason: c.Reason, Justification: c.Justification})
}

type findingsFalsePositiveCmd struct {
	oneFinding
	Reason string `help:"Why, in a sentence." short:"m" required:""`
}

// Help implements kong's long help.
func (findingsFalsePositiveCmd) Help() string {
	return `Example:
  interlock findings false-positive 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55 -m "an example from the manual"`
}

// Run dismisses a finding.
func (c *findingsFalsePositiveCmd) Run(e *env) error {
	return c.act(e, "dismiss", api.DismissFinding{To: lifecycle.StateFalsePositive, Reason: c.Reason})
}

type findingsDuplicateCmd struct {
	oneFinding
	Of     string `help:"The finding that it is." required:"" placeholder:"ID"`
	Reason string `help:"How you know." short:"m" required:""`
}

// Help implements kong's long help.
func (findingsDuplicateCmd) Help() string {
	return `The other one is verified only when no detector has either of them any more.

Example:
  interlock findings duplicate 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55 --of 01932d3f-0000-7c2a-8f00-3b1f0c9a7e55 -m "the same library, bundled"`
}

// Run makes two findings one.
func (c *findingsDuplicateCmd) Run(e *env) error {
	return c.act(e, "dismiss", api.DismissFinding{To: lifecycle.StateDuplicate, Reason: c.Reason, Of: c.Of})
}

type findingsAcceptCmd struct {
	oneFinding
	Until  string `help:"The last day of it, such as 2026-12-31." required:"" placeholder:"DAY"`
	Reason string `help:"Why the risk is to be carried." short:"m" required:""`
}

// Help implements kong's long help.
func (findingsAcceptCmd) Help() string {
	return `Somebody else with the right has to approve it. After the day the finding is open again by itself; its clock has not stood still.

Example:
  interlock findings accept 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55 --until 2026-12-31 -m "the press is replaced in December"`
}

// Run asks for a risk to be accepted.
func (c *findingsAcceptCmd) Run(e *env) error {
	last, err := time.Parse(time.DateOnly, c.Until)
	if err != nil {
		return core.E(core.KindInvalid, "findings accept", fmt.Sprintf("%.40q is no day", c.Until)).WithHint("write it as 2026-12-31")
	}
	return c.act(e, "accept", api.AcceptFinding{Until: last.AddDate(0, 0, 1), Reason: c.Reason})
}

type findingsApproveCmd struct {
	oneFinding
	Reason string `help:"A remark." short:"m"`
}

// Help implements kong's long help.
func (findingsApproveCmd) Help() string {
	return `Who asked for the risk to be accepted can't approve it. What is approved is the request as it is told here: if the finding changes before the
approval arrives, it is refused.

Example:
  interlock findings approve 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55`
}

// Run accepts a risk, as it stands when it is told.
func (c *findingsApproveCmd) Run(e *env) error {
	var d api.FindingDetail
	if err := e.client().Get(e.ctx, "/v1/findings/"+url.PathEscape(c.ID), nil, &d); err != nil {
		return err
	}
	a := d.Finding.Acceptance
	if a == nil {
		return core.E(core.KindConflict, "findings approve", "nobody asked for this risk to be accepted").
			WithHint("ask for it, as somebody else than the approver: interlock findings accept " + d.Finding.ID.String() + " --until DAY -m REASON")
	}
	_, _ = fmt.Fprintf(e.talk(), "%s %s: asked by %s until %s: %s\n", d.Finding.What.Severity, onOneLine(whatOf(&d.Finding)),
		onOneLine(a.Requester), a.Until.Format(time.DateOnly), onOneLine(a.Reason))
	return c.act(e, "approve", api.ApproveFinding{Reason: c.Reason, Request: a.Revision})
}

type findingsAssignCmd struct {
	oneFinding
	Owner string `arg:"" help:"Who looks after it."`
}

// Help implements kong's long help.
func (findingsAssignCmd) Help() string {
	return `Example:
  interlock findings assign 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55 shop-team`
}

// Run gives a finding an owner.
func (c *findingsAssignCmd) Run(e *env) error {
	return c.act(e, "assign", api.AssignFinding{Owner: c.Owner})
}

type findingsNoteCmd struct {
	oneFinding
	Text string `arg:"" help:"The remark."`
}

// Help implements kong's long help.
func (findingsNoteCmd) Help() string {
	return `Example:
  interlock findings note 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55 "the vendor answers on Monday"`
}

// Run adds a remark.
func (c *findingsNoteCmd) Run(e *env) error {
	return c.act(e, "notes", api.NoteFinding{Text: c.Text})
}

package main

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
)

type peopleLiftCmd struct {
	Actor  string `arg:"" help:"Whose cap: service/playbook, person/anna."`
	Extra  int    `help:"How many more machines." required:""`
	Hours  int    `help:"For how long, at most 24." default:"1"`
	Reason string `help:"Why." short:"r" required:""`
}

// Help implements kong's long help.
func (peopleLiftCmd) Help() string {
	return `Containment is capped per actor and hour, so that it is no weapon. Two persons, neither of them the actor, lift the cap: you and
one who agrees.

Example:
  interlock people lift-cap service/playbook --extra 20 --hours 2 --reason 'ransomware on line 2'`
}

// Run asks for a lifted cap.
func (c *peopleLiftCmd) Run(e *env) error {
	return ask(e, api.Deed{Kind: "cap.lift", Actor: c.Actor, Extra: c.Extra, Hours: c.Hours, Reason: c.Reason})
}

type peopleNoStopCmd struct {
	Person string `arg:"" help:"The person's id."`
	Hours  int    `help:"For how long, at most 24." default:"24"`
	Reason string `help:"Why." short:"r" required:""`
}

// Help implements kong's long help.
func (peopleNoStopCmd) Help() string {
	return `A stop is never refused. Who stops machines again and again loses the remote stop for at most a day when two other persons agree:
you and one more. The buttons on the machines are untouched.

Example:
  interlock people no-stop mallory --hours 24 --reason 'ten stops without a reason'`
}

// Run asks for a remote stop to be withdrawn.
func (c *peopleNoStopCmd) Run(e *env) error {
	id, _, err := whoAndWhere(c.Person, nil)
	if err != nil {
		return err
	}
	return ask(e, api.Deed{Kind: "stop.withdraw-right", Person: id, Hours: c.Hours, Reason: c.Reason})
}

// ask puts a deed up for a second person.
func ask(e *env, d api.Deed) error {
	if d.Roles == nil {
		d.Roles = []string{}
	}
	if d.Sites == nil {
		d.Sites = []core.SiteID{}
	}
	var a api.Agreement
	if err := e.client().Post(e.ctx, "/v1/agreements", d, &a); err != nil {
		return err
	}
	return e.show(a, func(w io.Writer) { tellAgreement(w, a) })
}

func tellAgreement(w io.Writer, a api.Agreement) {
	line := func(label, text string) {
		if text != "" {
			_, _ = fmt.Fprintf(w, "%-10s %s\n", label, printable(text))
		}
	}
	line("request", a.ID.String())
	line("what", a.What)
	line("why", a.Deed.Reason)
	line("by", a.Requester.String())
	line("state", a.State+because(a.Detail))
	for _, g := range a.Agreed {
		line("agreed", g.By.String()+" "+g.At.Format(time.DateTime)+", "+g.Evidence)
	}
	line("alone", a.Alone)
	line("digest", a.Digest)
	line("expires", a.Expires.Format(time.DateTime))
	line("next", nextOf(a))
}

// nextOf tells what somebody can do about a request.
func nextOf(a api.Agreement) string {
	self := "interlock people "
	switch a.State {
	case "open":
		names := make([]string, len(a.Eligible))
		for i, p := range a.Eligible {
			names[i] = p.String()
		}
		return strconv.Itoa(a.Need-len(a.Agreed)) + " of " + strings.Join(names, ", ") + " agrees in the console, or with: " + self + "approve " + a.ID.String()
	case "waiting":
		return "after " + a.NotBefore.Local().Format("Jan 2 15:04") + ": " + self + "carry-out " + a.ID.String()
	case "approved", "ready":
		return a.Requester.String() + ": " + self + "carry-out " + a.ID.String()
	}
	return ""
}

type approvalsCmd struct {
	listing
	ID  string `arg:"" optional:"" help:"One request in full."`
	All bool   `help:"Those that are over too."`
}

// Help implements kong's long help.
func (approvalsCmd) Help() string {
	return `What the server alone enforces and takes two persons: roles, links for others, a lifted cap, a withdrawn stop. Orders to devices
are approved with your own key: interlock approve. Exit code 1 when something waits.

Example:
  interlock people approvals
  interlock people approvals 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55`
}

// Run lists requests, or shows one.
func (c *approvalsCmd) Run(e *env) error {
	if c.ID != "" {
		var a api.Agreement
		if err := e.client().Get(e.ctx, "/v1/agreements/"+url.PathEscape(c.ID), nil, &a); err != nil {
			return err
		}
		return e.show(a, func(w io.Writer) { tellAgreement(w, a) })
	}
	list, err := fetch[api.Agreement](e, c.listing, "/v1/agreements", url.Values{"all": {strconv.FormatBool(c.All)}})
	if err != nil {
		return err
	}
	if err := e.show(list, func(w io.Writer) { tellAgreements(w, list) }); err != nil {
		return err
	}
	for _, a := range list {
		if nextOf(a) != "" {
			return errFindings
		}
	}
	return nil
}

func tellAgreements(w io.Writer, list []api.Agreement) {
	if len(list) == 0 {
		none(w, "requests")
		return
	}
	rows := make([][]string, 0, len(list))
	for _, a := range list {
		agreed := strconv.Itoa(len(a.Agreed)) + " of " + strconv.Itoa(a.Need)
		if a.Alone != "" {
			agreed = "nobody there"
		}
		rows = append(rows, []string{a.ID.String(), a.State, agreed, a.Requester.String(), a.What})
	}
	table(w, "ID STATE AGREED BY WHAT", rows)
}

type approvalsAgree struct {
	ID string `arg:"" help:"The request's id."`
}

// Help implements kong's long help.
func (approvalsAgree) Help() string {
	return `Read it first: interlock people approvals ID. You are who the configuration says that your user is; who has no user on this
machine agrees in the console, with a passkey. Nobody agrees to an own request.

Example:
  interlock people approve 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55`
}

// Run agrees.
func (c *approvalsAgree) Run(e *env) error {
	return decideOn(e, c.ID, "agree", struct{}{})
}

type approvalsReject struct {
	ID     string `arg:"" help:"The request's id."`
	Reason string `help:"Why." short:"r"`
}

// Help implements kong's long help.
func (approvalsReject) Help() string {
	return `Example:
  interlock people reject 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55 --reason 'who is that?'`
}

// Run refuses.
func (c *approvalsReject) Run(e *env) error {
	return decideOn(e, c.ID, "reject", api.ReasonBody{Reason: c.Reason})
}

type approvalsWithdraw struct {
	ID     string `arg:"" help:"The request's id."`
	Reason string `help:"Why." short:"r"`
}

// Help implements kong's long help.
func (approvalsWithdraw) Help() string {
	return `Example:
  interlock people withdraw 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55`
}

// Run takes an own request back.
func (c *approvalsWithdraw) Run(e *env) error {
	return decideOn(e, c.ID, "withdraw", api.ReasonBody{Reason: c.Reason})
}

func decideOn(e *env, id, verb string, body any) error {
	var a api.Agreement
	if err := e.client().Post(e.ctx, "/v1/agreements/"+url.PathEscape(id)+"/"+verb, body, &a); err != nil {
		return err
	}
	return e.show(a, func(w io.Writer) { tellAgreement(w, a) })
}

type approvalsCarry struct {
	ID string `arg:"" help:"The request's id."`
}

// Help implements kong's long help.
func (approvalsCarry) Help() string {
	return `Only who asked does this. Where the act makes a sign-in link, it is printed here and nowhere else.

Example:
  interlock people carry-out 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55`
}

// Run carries a request out.
func (c *approvalsCarry) Run(e *env) error {
	var d api.Carried
	if err := e.client().Post(e.ctx, "/v1/agreements/"+url.PathEscape(c.ID)+"/carry-out", struct{}{}, &d); err != nil {
		return err
	}
	return e.show(d, func(w io.Writer) {
		tellAgreement(w, d.Agreement)
		if d.Link != nil {
			tellLink(w, *d.Link)
		}
	})
}

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

type peopleCmd struct {
	List       peopleListCmd     `cmd:"" help:"Who there is." default:"withargs"`
	Show       peopleShowCmd     `cmd:"" help:"One person, with passkeys."`
	Link       peopleLinkCmd     `cmd:"" help:"A sign-in link for yourself: the first one, or another."`
	Invite     peopleInviteCmd   `cmd:"" help:"Let somebody in. Above viewer a second person agrees first."`
	Roles      peopleRolesCmd    `cmd:"" help:"Ask for other roles or sites of a person."`
	Relink     peopleRelinkCmd   `cmd:"" help:"Ask for another sign-in link for somebody who lost the passkey."`
	Revoke     peopleRevokeCmd   `cmd:"" help:"Take somebody's passkeys and sessions away, at once and for good."`
	Restore    peopleRestoreCmd  `cmd:"" help:"End a person's stop-only after you looked: what the audit log says holds."`
	Sessions   peopleSessionsCmd `cmd:"" help:"Who is signed in to the console."`
	SignOut    peopleSignOutCmd  `cmd:"" help:"End a session."`
	LiftCap    peopleLiftCmd     `cmd:"" help:"Ask for an actor's containment cap to be lifted."`
	NoStop     peopleNoStopCmd   `cmd:"" help:"Ask for a person's remote stop to be taken away for a while. Buttons always work."`
	Approvals  approvalsCmd      `cmd:"" help:"What waits for a second person."`
	Approve    approvalsAgree    `cmd:"" help:"Agree to somebody else's request."`
	Reject     approvalsReject   `cmd:"" help:"Refuse a request."`
	Withdraw   approvalsWithdraw `cmd:"" help:"Take your own request back."`
	CarryOut   approvalsCarry    `cmd:"" help:"Do what was agreed on, or what has waited long enough."`
	EndPasskey peoplePasskeyCmd  `cmd:"" help:"End one passkey of somebody."`
}

type peopleListCmd struct{ listing }

// Help implements kong's long help.
func (peopleListCmd) Help() string {
	return `Operators of the configuration and people who were invited are one list: one word, one person.

Example:
  interlock people`
}

// Run lists people.
func (c *peopleListCmd) Run(e *env) error {
	list, err := fetch[api.Person](e, c.listing, "/v1/people", nil)
	if err != nil {
		return err
	}
	return e.show(list, func(w io.Writer) {
		rows := make([][]string, 0, len(list))
		for _, p := range list {
			rows = append(rows, []string{p.ID.String(), stateOf(p), strings.Join(p.Roles, ","), siteList(p.Sites), strconv.Itoa(working(p)), strconv.Itoa(p.Sessions), p.Name})
		}
		table(w, "ID STATE ROLES SITES PASSKEYS SESSIONS NAME", rows)
	})
}

func stateOf(p api.Person) string {
	switch {
	case p.Doubt != "":
		return "STOP-ONLY"
	case p.Configured:
		return p.State + ", configured"
	}
	return p.State
}

func working(p api.Person) (n int) {
	for _, k := range p.Passkeys {
		if k.State == "active" {
			n++
		}
	}
	return n
}

func siteList(sites []core.SiteID) string {
	names := make([]string, len(sites))
	for i, s := range sites {
		names[i] = s.String()
	}
	return strings.Join(names, ",")
}

type peopleShowCmd struct {
	Person string `arg:"" help:"The person's id."`
}

// Help implements kong's long help.
func (peopleShowCmd) Help() string {
	return `Example:
  interlock people show anna`
}

// Run shows one person.
func (c *peopleShowCmd) Run(e *env) error {
	var p api.Person
	if err := e.client().Get(e.ctx, "/v1/people/"+url.PathEscape(c.Person), nil, &p); err != nil {
		return err
	}
	return e.show(p, func(w io.Writer) { tellPerson(w, p) })
}

func tellPerson(w io.Writer, p api.Person) {
	_, _ = fmt.Fprintf(w, "%s, %s\nstate     %s\nroles     %s\nsites     %s\nsessions  %d\n",
		p.ID, printable(p.Name), printable(stateOf(p)), printable(strings.Join(p.Roles, ", ")), siteList(p.Sites), p.Sessions)
	if p.Log.Origin != "" {
		_, _ = fmt.Fprintf(w, "audit     #%d\n", p.Log.Index)
	}
	if p.Doubt != "" {
		_, _ = fmt.Fprintf(w, "stop-only %s\nnext      look who wrote the database, then: interlock people restore %s\n", printable(p.Doubt), p.ID)
	}
	if len(p.Passkeys) == 0 {
		_, _ = io.WriteString(w, "no passkey\n")
		return
	}
	rows := make([][]string, 0, len(p.Passkeys))
	for _, k := range p.Passkeys {
		kind := "this device only"
		if k.Synced {
			kind = "synced"
		}
		rows = append(rows, []string{k.ID, k.State, kind, k.Created.Format(time.DateTime)})
	}
	table(w, "PASSKEY STATE KIND CREATED", rows)
}

type peopleLinkCmd struct{}

// Help implements kong's long help.
func (peopleLinkCmd) Help() string {
	return `Prints a link that works once, for an hour: open it in the browser in which you want to sign in, and make a passkey there. The
secret stands after "#", which browsers keep to themselves. You are who the configuration says that your user is.

Example:
  interlock people link`
}

// Run makes a link.
func (c *peopleLinkCmd) Run(e *env) error {
	var l api.SignInLink
	if err := e.client().Post(e.ctx, "/v1/people/link", struct{}{}, &l); err != nil {
		return err
	}
	return e.show(l, func(w io.Writer) { tellLink(w, l) })
}

func tellLink(w io.Writer, l api.SignInLink) {
	_, _ = fmt.Fprintf(w, "%s\nfor %s, once, until %s\n", printable(l.URL), l.Person, l.Expires.Local().Format("15:04"))
}

type peopleInviteCmd struct {
	Person string   `arg:"" help:"The id: a-z 0-9 - _. It is never given to anybody else."`
	Name   string   `help:"What the person is called."`
	Role   []string `help:"viewer, operator, security-officer or administrator; may be repeated." default:"viewer"`
	Site   []string `help:"Where; may be repeated." default:"main"`
	Reason string   `help:"Why. Needed for a role above viewer." short:"r"`
}

// Help implements kong's long help.
func (peopleInviteCmd) Help() string {
	return `A viewer gets a link at once. For every other role a second person agrees first: the request is listed by interlock people
approvals, and when it is approved you fetch the link with interlock people carry-out. Where there is no second person yet, the
request waits ten minutes instead and says so.

Example:
  interlock people invite vera
  interlock people invite ben --role security-officer --reason 'second person'`
}

// Run invites a viewer, or asks for anybody else.
func (c *peopleInviteCmd) Run(e *env) error {
	id, sites, err := whoAndWhere(c.Person, c.Site)
	if err != nil {
		return err
	}
	if len(c.Role) == 1 && c.Role[0] == core.RoleViewer {
		var l api.SignInLink
		if err := e.client().Post(e.ctx, "/v1/people", api.InviteBody{Person: id, Name: c.Name, Sites: sites}, &l); err != nil {
			return err
		}
		return e.show(l, func(w io.Writer) { tellLink(w, l) })
	}
	return ask(e, api.Deed{Kind: "person.invite", Person: id, Name: c.Name, Roles: c.Role, Sites: sites, Reason: c.Reason})
}

func whoAndWhere(person string, sites []string) (core.PersonID, []core.SiteID, error) {
	id, err := core.ParseID[core.PersonID](person)
	if err != nil {
		return id, nil, fmt.Errorf("the person's id: %w", err)
	}
	list := make([]core.SiteID, 0, len(sites))
	for _, s := range sites {
		site, err := core.ParseID[core.SiteID](s)
		if err != nil {
			return id, nil, fmt.Errorf("--site: %w", err)
		}
		list = append(list, site)
	}
	return id, list, nil
}

type peopleRolesCmd struct {
	Person string   `arg:"" help:"The person's id."`
	Role   []string `help:"The roles from then on; may be repeated." required:""`
	Site   []string `help:"The sites from then on; may be repeated." default:"main"`
	Reason string   `help:"Why." short:"r" required:""`
}

// Help implements kong's long help.
func (peopleRolesCmd) Help() string {
	return `When a second person agrees it is done at once, and the person's sessions end. Operators of the configuration have their roles
from there.

Example:
  interlock people roles vera --role operator --reason 'runs the night shift'`
}

// Run asks for other roles.
func (c *peopleRolesCmd) Run(e *env) error {
	id, sites, err := whoAndWhere(c.Person, c.Site)
	if err != nil {
		return err
	}
	return ask(e, api.Deed{Kind: "person.roles", Person: id, Roles: c.Role, Sites: sites, Reason: c.Reason})
}

type peopleRelinkCmd struct {
	Person string `arg:"" help:"The person's id."`
	Reason string `help:"Why." short:"r" required:""`
}

// Help implements kong's long help.
func (peopleRelinkCmd) Help() string {
	return `Whoever holds such a link becomes that person, so two agree on it. For yourself: interlock people link

Example:
  interlock people relink vera --reason 'lost the phone'`
}

// Run asks for a link.
func (c *peopleRelinkCmd) Run(e *env) error {
	id, _, err := whoAndWhere(c.Person, nil)
	if err != nil {
		return err
	}
	return ask(e, api.Deed{Kind: "person.link", Person: id, Reason: c.Reason})
}

type peopleRevokeCmd struct {
	Person string `arg:"" help:"The person's id."`
}

// Help implements kong's long help.
func (peopleRevokeCmd) Help() string {
	return `One person does this alone: taking away is never held up. An operator of the configuration keeps the unix socket until the
configuration changes.

Example:
  interlock people revoke vera`
}

// Run revokes a person.
func (c *peopleRevokeCmd) Run(e *env) error {
	return toPerson(e, c.Person, "revoke", "%s has no passkey and no session any more\n")
}

type peopleRestoreCmd struct {
	Person string `arg:"" help:"The person's id."`
}

// Help implements kong's long help.
func (peopleRestoreCmd) Help() string {
	return `A person of whom the database says other than the audit log is in stop-only. Look first who wrote the database. Then this writes
the rows from the log; it gives nobody more than the log says.

Example:
  interlock people restore vera`
}

// Run restores a person.
func (c *peopleRestoreCmd) Run(e *env) error {
	return toPerson(e, c.Person, "restore", "%s is what the audit log says\n")
}

func toPerson(e *env, person, verb, told string) error {
	var p api.Person
	if err := e.client().Post(e.ctx, "/v1/people/"+url.PathEscape(person)+"/"+verb, struct{}{}, &p); err != nil {
		return err
	}
	return e.show(p, func(w io.Writer) { _, _ = fmt.Fprintf(w, told, p.ID) })
}

type peopleSessionsCmd struct {
	listing
	Person string `arg:"" optional:"" help:"Only this person's."`
}

// Help implements kong's long help.
func (peopleSessionsCmd) Help() string {
	return `Example:
  interlock people sessions anna`
}

// Run lists sessions.
func (c *peopleSessionsCmd) Run(e *env) error {
	list, err := fetch[api.PersonSession](e, c.listing, "/v1/sessions", filter("person", c.Person))
	if err != nil {
		return err
	}
	return e.show(list, func(w io.Writer) {
		if len(list) == 0 {
			none(w, "sessions")
			return
		}
		rows := make([][]string, 0, len(list))
		for _, s := range list {
			may := "all"
			if s.StopOnly {
				may = "stop only"
			}
			rows = append(rows, []string{s.ID, s.Person.String(), may, s.Began.Format(time.DateTime), ago(s.Seen, time.Now()), s.Client})
		}
		table(w, "ID PERSON MAY BEGAN USED CLIENT", rows)
	})
}

type peopleSignOutCmd struct {
	Session string `arg:"" help:"The session's id."`
}

// Help implements kong's long help.
func (peopleSignOutCmd) Help() string {
	return `Example:
  interlock people sign-out 4f0c2a9be1d03c57a9e2`
}

// Run ends a session.
func (c *peopleSignOutCmd) Run(e *env) error {
	return done(e, "/v1/sessions/"+url.PathEscape(c.Session)+"/end", "the session is over\n")
}

type peoplePasskeyCmd struct {
	Passkey string `arg:"" help:"The passkey's id, from: interlock people show"`
}

// Help implements kong's long help.
func (peoplePasskeyCmd) Help() string {
	return `The sessions that began with it end too.

Example:
  interlock people end-passkey 5f0c2a9be1d03c57a9e2b1aa`
}

// Run ends a passkey.
func (c *peoplePasskeyCmd) Run(e *env) error {
	return done(e, "/v1/passkeys/"+url.PathEscape(c.Passkey)+"/revoke", "the passkey signs nobody in any more\n")
}

func done(e *env, path, told string) error {
	var d api.Done
	if err := e.client().Post(e.ctx, path, struct{}{}, &d); err != nil {
		return err
	}
	return e.show(d, func(w io.Writer) { _, _ = io.WriteString(w, told) })
}

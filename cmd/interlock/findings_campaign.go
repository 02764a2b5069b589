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
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

type findingsCampaignCmd struct {
	List  campaignListCmd  `cmd:"" help:"Campaigns, the newest first." default:"1"`
	Start campaignStartCmd `cmd:"" help:"Follow an advisory or a package until nobody has it."`
	Show  campaignShowCmd  `cmd:"" help:"Who has it, since when, and who is rid of it."`
}

type campaignListCmd struct{}

// Help implements kong's long help.
func (campaignListCmd) Help() string {
	return `Example:
  interlock findings campaign`
}

// Run lists campaigns.
func (c *campaignListCmd) Run(e *env) error {
	var list api.CampaignsList
	if err := e.client().Get(e.ctx, "/v1/campaigns", nil, &list); err != nil {
		return err
	}
	return e.show(list.Items, func(w io.Writer) {
		if len(list.Items) == 0 {
			none(w, "campaigns")
			return
		}
		rows := make([][]string, 0, len(list.Items))
		for _, c := range list.Items {
			rows = append(rows, []string{c.ID.String(), c.Created.Format(time.DateTime), c.Name, strconv.Itoa(c.First), c.By})
		}
		table(w, "ID STARTED NAME AFFECTED-THEN BY", rows)
	})
}

type campaignStartCmd struct {
	What     string   `arg:"" help:"An advisory by any of its names, or a package as ecosystem/name."`
	Below    string   `help:"Of a package: all versions below this one." placeholder:"VERSION" xor:"versions"`
	Versions []string `name:"version" help:"Of a package: this version; may be repeated." placeholder:"VERSION" xor:"versions"`
	Name     string   `help:"What the campaign is called."`
}

// Help implements kong's long help.
func (campaignStartCmd) Help() string {
	return `The answer comes from stored inventories: nothing is scanned. Exit code 1 when somebody has it.

Example:
  interlock findings campaign start CVE-2021-44228
  interlock findings campaign start Maven/org.apache.logging.log4j:log4j-core --below 2.17.1 --name "log4j day"`
}

// Run starts a campaign.
func (c *campaignStartCmd) Run(e *env) error {
	in := api.StartCampaign{Name: c.Name, Below: c.Below, Versions: c.Versions}
	if ecosystem, name, of := strings.Cut(c.What, "/"); of {
		in.Ecosystem, in.Package = ecosystem, name
	} else if in.Advisory = c.What; c.Below != "" || len(c.Versions) > 0 {
		return core.E(core.KindInvalid, "findings campaign", "an advisory says itself which versions it is about").WithHint("name a package as ecosystem/name")
	}
	var st api.CampaignState
	if err := e.client().Post(e.ctx, "/v1/campaigns", in, &st); err != nil {
		return err
	}
	return tellCampaign(e, &st)
}

type campaignShowCmd struct {
	ID string `arg:"" help:"The campaign's id."`
}

// Help implements kong's long help.
func (campaignShowCmd) Help() string {
	return `Exit code 1 while somebody has it.

Example:
  interlock findings campaign show 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55`
}

// Run shows a campaign.
func (c *campaignShowCmd) Run(e *env) error {
	var st api.CampaignState
	if err := e.client().Get(e.ctx, "/v1/campaigns/"+url.PathEscape(c.ID), nil, &st); err != nil {
		return err
	}
	return tellCampaign(e, &st)
}

func tellCampaign(e *env, st *api.CampaignState) error {
	if err := e.show(st, func(w io.Writer) { writeCampaign(w, st, time.Now()) }); err != nil {
		return err
	}
	if st.Affected+st.Doubt > 0 {
		return errFindings
	}
	return nil
}

func writeCampaign(w io.Writer, st *api.CampaignState, now time.Time) {
	_, _ = fmt.Fprintf(w, "%s (%s)\n", onOneLine(st.Campaign.Name), st.Campaign.ID)
	_, _ = fmt.Fprintf(w, "%d of %d subjects have it, %d are rid of it", st.Affected, st.Subjects, st.Rid)
	if st.Doubt > 0 {
		_, _ = fmt.Fprintf(w, ", of %d nobody can tell from the version", st.Doubt)
	}
	_, _ = fmt.Fprintf(w, "; %d had it when the campaign began\n", st.Campaign.First)
	if st.Subjects > 0 {
		_, _ = fmt.Fprintf(w, "the oldest inventory is of %s\n", ago(st.Oldest, now))
	}
	rows := make([][]string, 0, len(st.Hits))
	for _, h := range st.Hits {
		state := "has it"
		switch {
		case !h.Ended.IsZero():
			state = "rid of it since " + h.Ended.Format(time.DateOnly)
		case h.Doubt:
			state = "may have it"
		}
		rows = append(rows, []string{h.Subject, state, h.Since.Format(time.DateOnly), packagesOf(h)})
	}
	if len(rows) > 0 {
		table(w, "SUBJECT STATE SINCE WHAT", rows)
	}
	if st.Cut > 0 {
		_, _ = fmt.Fprintf(w, "and %d more\n", st.Cut)
	}
}

func packagesOf(h lifecycle.Hit) string {
	list := make([]string, 0, len(h.Packages))
	for _, p := range h.Packages[:min(len(h.Packages), 3)] {
		text := strings.TrimSpace(p.Name + " " + p.Version)
		if p.File != "" {
			text += " in " + p.File
		}
		list = append(list, text)
	}
	if more := len(h.Packages) - len(list); more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(list, ", ")
}

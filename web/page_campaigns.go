package web

import (
	"net/http"
	"strings"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

type campaignsView struct {
	Items []lifecycle.Campaign
}

func (c *Console) campaigns(w http.ResponseWriter, r *http.Request) error {
	out, err := c.API.Campaigns(r.Context(), &api.None{})
	if err != nil {
		return err
	}
	return c.render(w, r, "page_campaigns", page{Title: "Campaigns", Nav: "findings", Body: campaignsView{out.Body.Items}})
}

type campaignView struct {
	api.CampaignState
	// Rows are the first of the hits.
	Rows []lifecycle.Hit
	Left int
}

// shownHits is how many subjects a page shows.
const shownHits = 200

func (c *Console) campaign(w http.ResponseWriter, r *http.Request) error {
	out, err := c.API.Campaign(r.Context(), &api.IDInput{ID: r.PathValue("id")})
	if err != nil {
		return err
	}
	v := campaignView{CampaignState: out.Body}
	v.Rows = v.Hits[:min(len(v.Hits), shownHits)]
	v.Left = len(v.Hits) - len(v.Rows) + v.Cut
	return c.render(w, r, "page_campaign", page{Title: v.Campaign.Name, Nav: "findings", Body: v})
}

func (c *Console) startCampaign(w http.ResponseWriter, r *http.Request) error {
	field := func(name string) string { return strings.TrimSpace(form(r, name)) }
	out, err := c.API.StartCampaign(r.Context(), &api.StartCampaignInput{Body: api.StartCampaign{
		Name: field("name"), Advisory: field("advisory"), Ecosystem: field("ecosystem"), Package: field("package"), Below: field("below"),
	}})
	if err != nil {
		return err
	}
	return c.done(w, r, "/campaigns/"+out.Body.Campaign.ID.String(), "info", "This is who has it now, by the inventories that are stored. Nothing was scanned.")
}

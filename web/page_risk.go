package web

import (
	"net/http"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/policy"
)

func riskRoutes(c *Console) {
	c.get("/risks", policy.DeviceList, c.risks)
}

type risksView struct {
	Rows  []api.DeviceRisk
	Total int
	Site  string
}

// toldFactors is how many factors stand with a device in a list.
const toldFactors = 3

// risks lists the devices that somebody should look at first.
func (c *Console) risks(w http.ResponseWriter, r *http.Request) error {
	v := risksView{Site: r.URL.Query().Get("site")}
	out, err := c.API.Risks(r.Context(), &api.RisksInput{Limit: 2 * listRows, Site: v.Site})
	if err != nil {
		return err
	}
	v.Rows, v.Total = out.Body.Items, out.Body.Total
	for i := range v.Rows {
		v.Rows[i].Factors = v.Rows[i].Factors[:min(len(v.Rows[i].Factors), toldFactors)]
	}
	return c.render(w, r, "page_risks", page{Title: "Risk", Nav: "devices", Body: v})
}

// riskTone is how a score looks.
func riskTone(score float64) string {
	switch {
	case score >= 60:
		return "bad"
	case score >= 25:
		return "warn"
	case score >= 1:
		return "info"
	}
	return "ok"
}

package api

import (
	"net/http"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/httpd"
)

// createToken makes an enrolment string. The secret in it is shown once.
func (a *API) createToken(w http.ResponseWriter, r *http.Request) error {
	req, err := read[TokenRequest](w, r)
	if err != nil {
		return err
	}
	ttl, err := time.ParseDuration(req.TTL)
	if err != nil {
		return core.E(core.KindInvalid, "api.createToken", "ttl: "+err.Error()).WithHint(`write it as "30m" or "2h"`)
	}
	who := httpd.PrincipalOf(r.Context())
	token, err := a.Enrolment.CreateToken(r.Context(), who, fleet.TokenRequest{Tenant: who.Tenant, Site: req.Site, Device: req.Device, Fact: req.Fact, TTL: ttl})
	if err != nil {
		return err
	}
	text, err := a.EnrolmentString(r.Context(), token, req.Fact)
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, Token{ID: token.ID, String: text, Expires: token.Expires})
}

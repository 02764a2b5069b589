package api

import (
	"net/http"

	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/httpd"
)

// root answers with the trust root in force.
func (a *API) root(w http.ResponseWriter, r *http.Request) error {
	v, err := a.Roots.Current(r.Context(), httpd.PrincipalOf(r.Context()).Tenant)
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, rootOf(v))
}

// publishRoot takes the next version, signed by the persons of this one and of
// the next. The server verifies it as a device does and relays it.
func (a *API) publishRoot(w http.ResponseWriter, r *http.Request) error {
	body, err := httpd.ReadBody(w, r, maxBody)
	if err != nil {
		return err
	}
	v, err := a.Roots.Publish(r.Context(), httpd.PrincipalOf(r.Context()), body)
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, rootOf(v))
}

func rootOf(v fleet.RootVersion) RootVersion {
	return RootVersion{Version: v.Version, Hash: v.Hash, Envelope: v.Envelope}
}

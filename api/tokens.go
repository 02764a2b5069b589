package api

import (
	"context"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
)

// CreateTokenInput asks for an enrolment token.
type CreateTokenInput struct{ Body TokenRequest }

// CreateToken makes an enrolment string. The secret in it is shown once. The
// Guard is asked where the token is made.
func (a *API) CreateToken(ctx context.Context, in *CreateTokenInput) (*Out[Token], error) {
	ttl, err := time.ParseDuration(in.Body.TTL)
	if err != nil {
		return nil, core.E(core.KindInvalid, "api.CreateToken", "ttl is no duration").WithHint(`write it as "30m" or "2h"`)
	}
	who := principal(ctx)
	token, err := a.Enrolment.CreateToken(ctx, who, fleet.TokenRequest{Tenant: who.Tenant, Site: in.Body.Site, Device: in.Body.Device, Fact: in.Body.Fact, TTL: ttl})
	if err != nil {
		return nil, err
	}
	text, err := a.EnrolmentString(ctx, token, in.Body.Fact)
	if err != nil {
		return nil, err
	}
	return out(Token{ID: token.ID, String: text, Expires: token.Expires}), nil
}

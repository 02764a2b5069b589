package api

import (
	"bytes"
	"context"

	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/policy"
)

// EnvelopeInput is a signed document, its exact bytes.
type EnvelopeInput struct {
	RawBody []byte `contentType:"application/json" doc:"A signed envelope, its exact bytes"`
}

// bytes returns the body as the callee's own: the server uses its buffer again.
func (in *EnvelopeInput) bytes() []byte { return bytes.Clone(in.RawBody) }

// Root shows the trust root in force.
func (a *API) Root(ctx context.Context, _ *None) (*Out[RootVersion], error) {
	who, err := a.see(ctx, policy.RootRead, "*")
	if err != nil {
		return nil, err
	}
	v, err := a.Roots.Current(ctx, who.Tenant)
	if err != nil {
		return nil, err
	}
	return out(rootOf(v)), nil
}

// PublishRoot takes the next version, signed by the persons of this one and of
// the next. The server verifies it as a device does and relays it. The Guard is
// asked where it is published.
func (a *API) PublishRoot(ctx context.Context, in *EnvelopeInput) (*Out[RootVersion], error) {
	v, err := a.Roots.Publish(ctx, principal(ctx), in.bytes())
	if err != nil {
		return nil, err
	}
	return out(rootOf(v)), nil
}

func rootOf(v fleet.RootVersion) RootVersion {
	return RootVersion{Version: v.Version, Hash: v.Hash, Envelope: v.Envelope}
}

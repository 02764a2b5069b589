package api

import (
	"context"
	"slices"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/safety/stop"
)

// StopRequest asks for a stop. It takes effect first and is recorded after.
type StopRequest struct {
	Scope  stop.Scope `json:"scope"`
	Reason string     `json:"reason"` // "" for none yet
}

// StopResult is what was stopped, and who has not confirmed.
type StopResult struct {
	Trip     core.UUID `json:"trip"`
	Stops    []Stop    `json:"stops" nullable:"false"`
	Recorded bool      `json:"recorded"` // false where not even the ring could keep the record
}

// Stops lists the stops in force on the caller's sites.
func (a *API) Stops(ctx context.Context, _ *None) (*Out[Page[Stop]], error) {
	who, err := a.see(ctx, policy.StopRead, "*")
	if err != nil {
		return nil, err
	}
	list := a.stopsOf(who)
	return out(Page[Stop]{Items: list, Total: len(list)}), nil
}

func (a *API) stopsOf(who core.Principal) []Stop {
	list := []Stop{}
	for _, st := range a.Parts.Stops.Status(who.Tenant).Stops {
		if st.Scope.Site.IsZero() || slices.Contains(who.Sites, st.Scope.Site) {
			list = append(list, StopOf(st))
		}
	}
	return list
}

// RequestStopInput says what should stop.
type RequestStopInput struct{ Body StopRequest }

// RequestStop stops machines, now. As on the stop path's own socket nobody is
// asked but the stop service itself: it knows from memory who may stop what, and
// a stop waits neither for the audit log nor for the Guard (TRUST F06).
func (a *API) RequestStop(ctx context.Context, in *RequestStopInput) (*Out[StopResult], error) {
	res, err := a.Parts.Stops.Trip(principal(ctx), in.Body.Scope, in.Body.Reason)
	if err != nil {
		return nil, err
	}
	shown := StopResult{Trip: res.Trip, Recorded: res.Recorded, Stops: []Stop{}}
	for _, st := range res.Stops {
		shown.Stops = append(shown.Stops, StopOf(st))
	}
	return out(shown), nil
}

// StopOf shows a stop in force.
func StopOf(st stop.State) Stop {
	shown := Stop{ID: st.ID.String(), Trip: st.Trip.String(), Scope: st.Scope.String(), By: st.By, Reason: st.Reason, Since: st.At}
	for _, d := range st.Confirmed {
		shown.Confirmed = append(shown.Confirmed, d.String())
	}
	for _, d := range st.NotConfirmed {
		shown.Waiting = append(shown.Waiting, d.String())
	}
	for _, d := range st.Reset {
		shown.Reset = append(shown.Reset, d.String())
	}
	return shown
}

package web

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/interlock-security/interlock/api"
)

// version stands for what a page shows: equal parts, equal version.
func version(parts ...any) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%v\x00", p) // a hash never fails
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// orderVersion is what can change about an order.
func orderVersion(o api.Order) string { return version(o.ID, o.State, o.Approvals, o.Detail) }

func (v incidentView) version() string {
	parts := []any{v.State, len(v.Timeline), v.Proved, len(v.Incident.Alerts)}
	for _, o := range v.Orders {
		parts = append(parts, orderVersion(o))
	}
	for _, r := range v.Runs {
		parts = append(parts, r.State, r.Round, r.Step, len(r.Attempts))
		for _, a := range r.Attempts {
			parts = append(parts, a.State)
		}
	}
	return version(parts...)
}

func (v deviceView) version() string {
	parts := []any{v.State, v.Contained, v.StopOnly, len(v.Open)}
	for _, s := range v.Stops {
		parts = append(parts, s.Trip, s.Confirmed)
	}
	for _, s := range v.Sensors {
		parts = append(parts, s.ID, s.State)
	}
	for _, l := range v.Latches {
		parts = append(parts, l.ID)
	}
	for _, o := range v.Device.Orders {
		parts = append(parts, orderVersion(o))
	}
	for _, a := range v.Alerts {
		parts = append(parts, a.ID, a.State)
	}
	for _, s := range v.Seals {
		parts = append(parts, s.ID, s.State, s.Late)
	}
	for _, w := range v.WalkTests {
		parts = append(parts, w.Hash, w.SignedBy)
	}
	if st := v.Status; st != nil {
		parts = append(parts, st.Arming, len(st.Bypasses), st.Doctor != nil)
	}
	return version(append(parts, v.Criticality)...)
}

package api

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

// InventoryAge is of when a subject's inventory is, nil where there is none.
func (a *API) InventoryAge(ctx context.Context, subject string) (*lifecycle.Age, error) {
	if subject == "" {
		return nil, nil
	}
	list, err := a.ages(ctx, subject)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

func (a *API) ages(ctx context.Context, subject string) (list []lifecycle.Age, err error) {
	s, who, err := a.seeFindings(ctx, policy.CampaignRead, "*")
	if err != nil {
		return nil, err
	}
	err = a.view(ctx, func(tx *store.Tx) (err error) {
		list, err = s.Ages(ctx, tx, who.Tenant, subject)
		return err
	})
	return list, err
}

// NotLookedAt lists who a campaign cannot answer for: the devices of the fleet
// without an inventory, whose Seen is zero, and the subjects whose inventory is
// older than a moment. By name.
func (a *API) NotLookedAt(ctx context.Context, before time.Time) ([]lifecycle.Age, error) {
	ages, err := a.ages(ctx, "")
	if err != nil {
		return nil, err
	}
	devices, err := a.Registry.Targets(ctx)
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool, len(ages))
	blind := []lifecycle.Age{}
	for _, age := range ages {
		known[age.Subject] = true
		if age.Seen.Before(before) {
			blind = append(blind, age)
		}
	}
	tenant := principal(ctx).Tenant
	for _, d := range devices {
		if subject := "device/" + d.Device.String(); d.Tenant == tenant && !known[subject] {
			blind = append(blind, lifecycle.Age{Subject: subject})
		}
	}
	slices.SortFunc(blind, func(a, b lifecycle.Age) int { return strings.Compare(a.Subject, b.Subject) })
	return blind, nil
}

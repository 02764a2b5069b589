package api

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/siem/alert"
)

// Board is the safety board. What could not be found out is absent, never zero:
// Unknown says why.
type Board struct {
	Time     time.Time              `json:"time"`
	Health   core.Health            `json:"health"`
	Parts    map[string]core.Health `json:"parts"`
	Mode     string                 `json:"mode"`     // quorum | single-operator
	LogMode  string                 `json:"log_mode"` // normal | stop-only
	LogSize  uint64                 `json:"log_size"`
	Warnings []string               `json:"warnings,omitempty"`
	// Days is how many whole days there was no incident, since Since: the end of
	// the last real one, or the beginning of the audit log. It is 0 while one is
	// open, and absent where nobody knows.
	Days  *int      `json:"days_without_incident,omitempty"`
	Since time.Time `json:"since,omitzero"`
	// Stops are those in force on the caller's sites. They come from memory.
	Stops []Stop `json:"stops" nullable:"false"`
	// Sensors are those that are not ok, the first of them; SensorsNotOK counts
	// all.
	Sensors      []Sensor       `json:"sensors,omitempty"`
	SensorsNotOK int            `json:"sensors_not_ok"`
	OpenLatches  int            `json:"open_latches"`
	Alerts       map[string]int `json:"alerts,omitempty"`    // open ones by severity
	Incidents    map[string]int `json:"incidents,omitempty"` // open ones by state
	Devices      map[string]int `json:"devices,omitempty"`   // by state
	Awaiting     int            `json:"orders_awaiting"`     // persons' signatures
	// SealsWrong counts seals that were found broken, missing or another one,
	// SealsLate those that somebody should have looked at by now.
	SealsWrong int `json:"seals_wrong"`
	SealsLate  int `json:"seals_late"`
	// Agreements is how many requests wait for a second person in the console.
	Agreements int `json:"agreements_open"`
	// Lag is how many frames of the journal each stage is behind.
	Lag map[string]uint64 `json:"lag,omitempty"`
	// Unknown says why figures are absent, "" where all are there.
	Unknown string `json:"unknown,omitempty"`
}

// sensorsShown is how many sensors a board names.
const sensorsShown = 20

// Board gathers the figures of the safety board. Stops are shown also while the
// database is away.
func (a *API) Board(ctx context.Context, _ *None) (*Out[Board], error) {
	who, err := a.see(ctx, policy.StatusRead, "*")
	if err != nil {
		return nil, err
	}
	s, err := a.Parts.Status(ctx)
	if err != nil {
		return nil, err
	}
	b := Board{
		Time: a.Clock.Now(), Health: s.Health, Parts: s.Parts, Mode: s.Mode, LogMode: s.Audit.Mode, LogSize: s.Audit.Size, Warnings: s.Warnings,
		Stops: a.stopsOf(who), Devices: s.Devices, Incidents: s.Incidents, Lag: lagOf(s.Journal),
	}
	for _, g := range a.People.Approvals(ctx) { // from memory
		if g.Open() {
			b.Agreements++
		}
	}
	if err := a.figures(ctx, who, &b); err != nil {
		b.Unknown = "figures that only the database knows are not known: " + core.KindOf(err).String()
		b.Days, b.Alerts, b.Devices, b.Incidents = nil, nil, nil, nil
	}
	return out(b), nil
}

// lagOf tells how far each stage is behind the journal's end.
func lagOf(j JournalState) map[string]uint64 {
	if j.Cursors == nil {
		return nil
	}
	lag := make(map[string]uint64, len(j.Cursors))
	for stage, at := range j.Cursors {
		lag[stage] = max(j.Next, at+1) - (at + 1)
	}
	return lag
}

// figures fills in what the database knows.
func (a *API) figures(ctx context.Context, who core.Principal, b *Board) error {
	err := a.view(ctx, func(tx *store.Tx) error {
		counts, err := alert.BySeverity(ctx, tx, who.Tenant, alert.StateOpen)
		if err != nil {
			return err
		}
		b.Alerts = make(map[string]int, len(core.Severities))
		for _, s := range core.Severities {
			b.Alerts[string(s)] = counts[s]
		}
		return a.quiet(ctx, tx, who.Tenant, b)
	})
	if err != nil {
		return err
	}
	f, err := a.Registry.Figures(ctx, who.Tenant, sensorsShown)
	if err != nil {
		return err
	}
	b.SensorsNotOK, b.OpenLatches = f.SensorsNotOK, f.OpenLatches
	for _, s := range f.Sensors {
		b.Sensors = append(b.Sensors, Sensor{Device: s.Device, ID: s.ID, State: s.State, Since: s.Since, Simulated: s.Simulated})
	}
	if b.SealsWrong, b.SealsLate, err = a.Parts.Seals.Wanting(ctx, who.Tenant); err != nil {
		return err
	}
	b.Awaiting, err = a.Parts.Orders.Count(ctx, who.Tenant, fleet.OrderAwaiting)
	return err
}

// quiet counts the days without an incident. Exercises don't end a quiet time.
func (a *API) quiet(ctx context.Context, tx *store.Tx, tenant core.TenantID, b *Board) error {
	open, last, err := a.Parts.Incidents.LastReal(ctx, tx, tenant)
	if err != nil {
		return err
	}
	days := 0
	if last.IsZero() {
		if last, err = a.beginning(ctx); err != nil {
			return err
		}
	}
	if b.Since = last; !open {
		days = max(int(b.Time.Sub(last).Hours()/24), 0)
	}
	b.Days = &days
	return nil
}

// beginning is the time of the audit log's first entry.
func (a *API) beginning(ctx context.Context) (time.Time, error) {
	first, err := a.Log.Entry(ctx, core.Position{})
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMicro(first.Header.Time).UTC(), nil
}

func sortedSites(m map[core.SiteID]int) []core.SiteID {
	list := make([]core.SiteID, 0, len(m))
	for id := range m {
		list = append(list, id)
	}
	slices.SortFunc(list, func(a, b core.SiteID) int { return strings.Compare(a.String(), b.String()) })
	return list
}

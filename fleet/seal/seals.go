package seal

import (
	"context"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
)

// Parts are what the registry stands on; all are required.
type Parts struct {
	DB *store.DB
	// Registry knows the devices and carries events into the journal.
	Registry *fleet.Registry
	Facts    fleet.Facts
	Guard    core.Guard
	// Sealer encrypts photos at rest.
	Sealer core.Sealer
	Clock  core.Clock
}

// Seals is the registry of seals, the one writer of its tables.
type Seals struct{ p Parts }

// New returns the registry over the state database.
func New(p Parts) *Seals { return &Seals{p} }

const day = 24 * time.Hour

// Apply registers a seal that was put on a machine.
func (s *Seals) Apply(ctx context.Context, who core.Principal, a Application) (Seal, error) {
	id, err := a.check()
	if err != nil {
		return Seal{}, err
	}
	d, err := s.machine(ctx, who.Tenant, a.Device)
	if err != nil {
		return Seal{}, err
	}
	decision, err := s.permit(ctx, who, policy.SealApply, id, d.Site, a)
	if err != nil {
		return Seal{}, err
	}
	var made Seal
	err = s.p.DB.Tx(ctx, func(tx *store.Tx) (err error) {
		made, err = s.apply(ctx, tx, who, d, id, a, "", decision)
		return err
	})
	return made, err
}

// machine reads the device that a seal is on.
func (s *Seals) machine(ctx context.Context, tenant core.TenantID, id core.DeviceID) (fleet.Device, error) {
	d, err := s.p.Registry.Get(ctx, tenant, id)
	if err == nil && d.Identity == fleet.IdentityRetired {
		err = core.E(core.KindConflict, "seal.Apply", fmt.Sprintf("device %q has retired", id))
	}
	return d, err
}

func (s *Seals) permit(ctx context.Context, who core.Principal, action core.Action, id ID, site core.SiteID, request any) (core.Decision, error) {
	p, err := params(request)
	if err != nil {
		return core.Decision{}, err
	}
	on := core.Resource{Type: "seal", ID: string(id), Tenant: who.Tenant, Site: site, Params: p}
	d, err := s.p.Guard.Permit(ctx, who, action, on)
	if err != nil {
		return d, fmt.Errorf("seal: asking for %s: %w", action, err)
	}
	return d, httpd.Refusal(d, who, action, on)
}

func (s *Seals) apply(ctx context.Context, tx *store.Tx, who core.Principal, d fleet.Device, id ID, a Application, replaces ID, decision core.Decision) (Seal, error) {
	if _, found, err := find(ctx, tx, who.Tenant, id); err != nil || found {
		if found {
			err = core.E(core.KindConflict, "seal.Apply", fmt.Sprintf("seal %s is registered already; a serial is used once", id)).
				WithHint("look at it with: interlock seal show " + string(id))
		}
		return Seal{}, err
	}
	if err := use(ctx, tx, who.Tenant, a.Photo); err != nil {
		return Seal{}, err
	}
	now := s.p.Clock.Now()
	made := Seal{
		Tenant: who.Tenant, ID: id, Kind: a.Kind, Device: a.Device, Site: d.Site, Place: a.Place, Sensor: a.Sensor, Photo: a.Photo,
		Applied: now, AppliedBy: who.String(), EveryDays: a.EveryDays, State: Intact, Due: now.Add(time.Duration(a.EveryDays) * day),
		Replaces: replaces, Revision: 1,
	}
	if err := insert(ctx, tx, made); err != nil {
		return Seal{}, err
	}
	return made, s.tell(ctx, tx, who, made, policy.SealApply, decision, TypeApplied, core.SeverityInfo, map[string]any{"every_days": a.EveryDays})
}

// Inspect records what a person found.
func (s *Seals) Inspect(ctx context.Context, who core.Principal, l Look) (Seal, error) {
	id, err := l.check()
	if err != nil {
		return Seal{}, err
	}
	old, err := s.Get(ctx, who.Tenant, id)
	if err != nil {
		return Seal{}, err
	}
	decision, err := s.permit(ctx, who, policy.SealInspect, id, old.Site, l)
	if err != nil {
		return Seal{}, err
	}
	var now Seal
	err = s.p.DB.Tx(ctx, func(tx *store.Tx) (err error) {
		now, err = s.inspect(ctx, tx, who, id, l, decision)
		return err
	})
	return now, err
}

// verdicts say what a result makes of a seal and of the world.
var verdicts = map[Result]struct {
	state    State
	event    string
	severity core.Severity
}{
	ResultOK:       {Intact, TypeInspected, core.SeverityInfo},
	ResultBroken:   {Broken, TypeBroken, core.SeverityHigh},
	ResultMissing:  {Missing, TypeMissing, core.SeverityHigh},
	ResultMismatch: {Mismatch, TypeMismatch, core.SeverityHigh},
}

func (s *Seals) inspect(ctx context.Context, tx *store.Tx, who core.Principal, id ID, l Look, decision core.Decision) (Seal, error) {
	seal, err := mustFind(ctx, tx, who.Tenant, id)
	if err != nil {
		return seal, err
	}
	verdict := verdicts[l.Result]
	switch {
	case seal.State.Ended():
		return seal, core.E(core.KindConflict, "seal.Inspect", fmt.Sprintf("seal %s was %s on %s", id, seal.State, seal.Ended.Format(time.DateOnly)))
	case seal.State != Intact && l.Result == ResultOK:
		return seal, core.E(core.KindConflict, "seal.Inspect", fmt.Sprintf("seal %s was found %s; a later look does not make it whole", id, seal.State)).
			WithHint("replace it, with a reason")
	case l.Photo != "":
		if err := use(ctx, tx, who.Tenant, l.Photo); err != nil {
			return seal, err
		}
	}
	now := s.p.Clock.Now()
	in := Inspection{ID: core.NewUUID(now), Seal: id, At: now, By: who.String(), Result: l.Result, Photo: l.Photo, Note: l.Note}
	if err := insertInspection(ctx, tx, who.Tenant, in); err != nil {
		return seal, err
	}
	seal.State, seal.Inspected, seal.Due, seal.Overdue = verdict.state, now, now.Add(time.Duration(seal.EveryDays)*day), time.Time{}
	if err := update(ctx, tx, &seal); err != nil {
		return seal, err
	}
	return seal, s.tell(ctx, tx, who, seal, policy.SealInspect, decision, verdict.event, verdict.severity,
		map[string]any{"result": l.Result, "photo": l.Photo, "note": l.Note, "inspection": in.ID})
}

// Remove ends a seal. With a replacement it is replaced in the same step.
func (s *Seals) Remove(ctx context.Context, who core.Principal, serial, reason string, replacement *Application) (Seal, error) {
	id, err := ParseID(serial)
	if err != nil {
		return Seal{}, err
	}
	if err := text("the reason", reason, 1, maxNote); err != nil {
		return Seal{}, err
	}
	old, err := s.Get(ctx, who.Tenant, id)
	if err != nil {
		return Seal{}, err
	}
	request := struct {
		Reason      string
		Replacement *Application
	}{reason, replacement}
	decision, err := s.permit(ctx, who, policy.SealRemove, id, old.Site, request)
	if err != nil {
		return Seal{}, err
	}
	var d fleet.Device
	var next ID
	if replacement != nil {
		if next, err = replacement.check(); err != nil {
			return Seal{}, err
		}
		if replacement.Device != old.Device {
			return Seal{}, bad("seal %s is on %s; what replaces it is on the same machine", id, old.Device)
		}
		if d, err = s.machine(ctx, who.Tenant, old.Device); err != nil {
			return Seal{}, err
		}
	}
	var ended Seal
	err = s.p.DB.Tx(ctx, func(tx *store.Tx) (err error) {
		if ended, err = s.remove(ctx, tx, who, id, reason, next, decision); err != nil || replacement == nil {
			return err
		}
		_, err = s.apply(ctx, tx, who, d, next, *replacement, id, decision)
		return err
	})
	return ended, err
}

func (s *Seals) remove(ctx context.Context, tx *store.Tx, who core.Principal, id ID, reason string, next ID, decision core.Decision) (Seal, error) {
	seal, err := mustFind(ctx, tx, who.Tenant, id)
	if err != nil {
		return seal, err
	}
	if seal.State.Ended() {
		return seal, core.E(core.KindConflict, "seal.Remove", fmt.Sprintf("seal %s was %s on %s", id, seal.State, seal.Ended.Format(time.DateOnly)))
	}
	was := seal.State
	seal.State, seal.Ended, seal.EndedBy, seal.Reason, seal.ReplacedBy, seal.Overdue = Removed, s.p.Clock.Now(), who.String(), reason, next, time.Time{}
	if next != "" {
		seal.State = Replaced
	}
	if err := update(ctx, tx, &seal); err != nil {
		return seal, err
	}
	severity := core.SeverityMedium
	if next != "" {
		severity = core.SeverityInfo
	}
	return seal, s.tell(ctx, tx, who, seal, policy.SealRemove, decision, TypeRemoved, severity,
		map[string]any{"was": was, "reason": reason, "replaced_by": next})
}

// tell leaves the fact in the audit log and the event in the journal, both with
// the change.
func (s *Seals) tell(ctx context.Context, tx *store.Tx, who core.Principal, seal Seal, action core.Action, d core.Decision, event string, severity core.Severity, more map[string]any) error {
	fields := about(seal)
	fields["by"] = who.String()
	for name, value := range more {
		fields[name] = value
	}
	entry := audit.Entry{
		Type: audit.TypeFact, Time: s.p.Clock.Now(), Actor: who.String(), Action: action, Object: seal.ID.Object(), Outcome: string(seal.State),
		Class: audit.ClassSecurity, Body: fields,
	}
	if d.Intent != (core.Position{}) {
		entry.Intent = &d.Intent
	}
	if err := s.p.Facts(ctx, tx, entry); err != nil {
		return fmt.Errorf("seal: audit of %s: %w", seal.ID, err)
	}
	return s.raise(ctx, tx, seal, event, severity, fields)
}

func about(seal Seal) map[string]any {
	return map[string]any{
		"seal": seal.ID, "kind": seal.Kind, "place": seal.Place, "site": seal.Site, "seal_state": seal.State, "registered_photo": seal.Photo, "due": seal.Due,
	}
}

func (s *Seals) raise(ctx context.Context, tx *store.Tx, seal Seal, event string, severity core.Severity, fields map[string]any) error {
	return s.p.Registry.Raise(ctx, tx, fleet.Notice{Tenant: seal.Tenant, Device: seal.Device, Kind: event, Severity: severity, Fields: fields})
}

// sweepBatch is how many overdue seals one transaction tells of.
const sweepBatch = 200

// Sweep tells of each seal that nobody looked at in time, once until somebody
// does, and forgets photos that came to nothing. It returns how many it told of.
func (s *Seals) Sweep(ctx context.Context) (int, error) {
	told := 0
	for {
		n := 0
		err := s.p.DB.Tx(ctx, func(tx *store.Tx) (err error) {
			n, err = s.sweep(ctx, tx)
			return err
		})
		told += n
		if err != nil || n < sweepBatch {
			return told, err
		}
	}
}

func (s *Seals) sweep(ctx context.Context, tx *store.Tx) (int, error) {
	now := s.p.Clock.Now()
	if err := forget(ctx, tx, now.Add(-day)); err != nil {
		return 0, err
	}
	late, err := overdue(ctx, tx, now, sweepBatch)
	if err != nil {
		return 0, err
	}
	for _, seal := range late {
		seal.Overdue = now
		if err := update(ctx, tx, &seal); err != nil {
			return 0, err
		}
		fields := about(seal)
		fields["days_late"] = int(now.Sub(seal.Due) / day)
		if err := s.raise(ctx, tx, seal, TypeOverdue, core.SeverityMedium, fields); err != nil {
			return 0, err
		}
	}
	return len(late), nil
}

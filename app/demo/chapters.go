package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/link/ceremony"
)

// site: the server is healthy, and the trust root that it relays is the one
// that three persons hold.
func (st *story) site(ctx context.Context) error {
	var s api.Status
	err := st.await(ctx, func() (err error) {
		if s, err = get[api.Status](ctx, st, "/v1/status"); err == nil && s.Health != core.HealthHealthy {
			err = fmt.Errorf("the server is %s: %v", s.Health, s.Parts)
		}
		return err
	})
	if err != nil {
		return err
	}
	if st.trust, err = ceremony.LoadTrust(st.keys()); err != nil {
		return err
	}
	root := st.trust.Root()
	if s.RootHash != st.trust.Hash() || s.Mode != string(link.ModeQuorum) || len(root.Persons) != len(persons) {
		return core.E(core.KindDamaged, "demo", fmt.Sprintf("the server relays root %s in mode %s, the persons hold %s", s.RootHash, s.Mode, st.trust.Hash()))
	}
	st.told("server and keys process are healthy")
	st.told("trust root %s… names %s, %s and %s; a release takes %d of them", s.RootHash[:12], root.Persons[0].ID, root.Persons[1].ID, root.Persons[2].ID, threshold(root, link.RoleRelease))
	return nil
}

func threshold(root *link.Root, name link.RoleName) int {
	for _, r := range root.Roles {
		if r.Name == name {
			return r.Threshold
		}
	}
	return 0
}

// enrol: the three devices are known, report, and their sensors are ok.
func (st *story) enrol(ctx context.Context) error {
	for _, id := range devices {
		var d api.Device
		err := st.await(ctx, func() (err error) {
			if d, err = get[api.Device](ctx, st, "/v1/devices/"+id.String()); err != nil {
				return err
			}
			if d.State != core.DeviceOnline || d.Sensors["case"] != string(core.SensorOK) {
				return fmt.Errorf("%s is %s, sensors %v", id, d.State, d.Sensors)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := st.recorded(ctx, "device.enrol", "device/"+id.String(), "%s is online, case sensor ok, key %s", id, d.ShortCode); err != nil {
			return err
		}
	}
	return nil
}

// breakIn: the case is opened; the event is in the journal, signed by the
// device, and marked simulated.
func (st *story) breakIn(ctx context.Context) error {
	step := `{"do":"level","point":"lid","active":true,"type":"case_intrusion","clear":"case_closed","severity":"critical"}`
	if err := st.sense(press, step); err != nil {
		return err
	}
	var found core.Event
	err := st.await(ctx, func() (err error) {
		found, err = st.event(ctx, press, "case_intrusion")
		return err
	})
	if err != nil {
		return err
	}
	if found.Provenance != core.ProvenanceDevice || !found.Simulated {
		return core.E(core.KindDamaged, "demo", fmt.Sprintf("the event is %s, simulated %v", found.Provenance, found.Simulated))
	}
	st.opened = found.Time
	st.told("%s: %s, %s, event %d of the device, signed by its key, marked simulated", found.Source, found.Type, found.Severity, found.Sequence)
	return st.evidence(ctx, found)
}

// event finds a device's newest event of a type in the journal.
func (st *story) event(ctx context.Context, id core.DeviceID, kind string) (core.Event, error) {
	list, err := st.events(ctx)
	if err != nil {
		return core.Event{}, err
	}
	for _, e := range slices.Backward(list) {
		if e.Device == id && e.Type == kind {
			return e, nil
		}
	}
	return core.Event{}, core.E(core.KindNotFound, "demo", fmt.Sprintf("no event %s of %s", kind, id))
}

func (st *story) events(ctx context.Context) ([]core.Event, error) {
	const path = "/v1/events?last=2000"
	var list []core.Event
	err := st.api.Stream(ctx, path, func(line []byte) error {
		if st.o.Tamper != nil {
			line = st.o.Tamper(st.chapter, path, line)
		}
		var e core.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return core.Wrap(core.KindDamaged, "demo: "+path, err)
		}
		list = append(list, e)
		return nil
	})
	return list, err
}

// signedBatch is what the journal keeps of a batch as the device sent it.
type signedBatch struct {
	Payload string `json:"payload"`
	First   uint64 `json:"first"`
	Last    uint64 `json:"last"`
}

// evidence finds the signed batch that the event came in, holds the event
// against it, and proves that the log took the batch.
func (st *story) evidence(ctx context.Context, e core.Event) error {
	list, err := st.events(ctx)
	if err != nil {
		return err
	}
	for _, record := range list {
		var b signedBatch
		if record.Device != e.Device || record.Type != fleet.TypeBatch || json.Unmarshal(record.Fields, &b) != nil || e.Sequence < b.First || e.Sequence > b.Last {
			continue
		}
		batch, err := link.DecodeBatch([]byte(b.Payload))
		if err != nil {
			return err
		}
		if own := batch.Events[e.Sequence-batch.First]; own.ID != e.ID || own.Type != e.Type {
			return core.E(core.KindDamaged, "demo", fmt.Sprintf("event %d is not what the device signed", e.Sequence))
		}
		return st.logged(ctx, link.BatchHash([]byte(b.Payload)))
	}
	return core.E(core.KindNotFound, "demo", fmt.Sprintf("no batch holds event %d", e.Sequence))
}

// logged finds the leaf of the commit group that a batch was received in.
func (st *story) logged(ctx context.Context, hash [32]byte) error {
	entries, err := list[api.AuditEntry](ctx, st, "/v1/audit/entries", url.Values{"action": {"batch.append"}, "limit": {"500"}})
	if err != nil {
		return err
	}
	for _, entry := range entries {
		var body struct {
			Batches [][]byte `json:"batches"`
		}
		if json.Unmarshal(entry.Body, &body) != nil {
			continue
		}
		group := make([][32]byte, len(body.Batches))
		for i, b := range body.Batches {
			copy(group[i][:], b)
		}
		if slices.Contains(group, hash) && link.BatchGroupObject(link.GroupRoot(group)) == entry.Object {
			return st.proven(ctx, entry.Position, said{"batch.append", entry.Object, ""}, "the log took the batch that holds it: %x…", hash[:6])
		}
	}
	return core.E(core.KindNotFound, "demo", fmt.Sprintf("no leaf of the log covers batch %x", hash[:6]))
}

// reflex: the device says, itself and in a signed event, that it contained
// itself; no order had been given.
func (st *story) reflex(ctx context.Context) error {
	var contained core.Event
	err := st.await(ctx, func() (err error) {
		contained, err = st.event(ctx, press, "quarantine_on")
		return err
	})
	if err != nil {
		return err
	}
	local, err := st.agents[press].Status(ctx)
	if err != nil {
		return err
	}
	if !local.Contained || len(local.Latches) == 0 {
		return core.E(core.KindConflict, "demo", fmt.Sprintf("the device says of itself: contained %v, %d latches", local.Contained, len(local.Latches)))
	}
	st.told("quarantine %d ms after the case opened; latch %s… stays until persons release it", contained.Time.Sub(st.opened).Milliseconds(), local.Latches[0].ID[:8])
	return st.evidence(ctx, contained)
}

// alert: one alert by the shipped rule, with its author.
func (st *story) alert(ctx context.Context) error {
	return st.await(ctx, func() error {
		found, err := list[api.Alert](ctx, st, "/v1/alerts", nil)
		if err != nil {
			return err
		}
		ours := slices.DeleteFunc(found, func(a api.Alert) bool { return a.Device != press.String() || a.Rule != "interlock-device-tampered" })
		if len(ours) != 1 || !ours[0].Simulated || ours[0].Author == "" {
			return fmt.Errorf("%d alerts of the rule, want exactly one, simulated, with its author: %+v", len(ours), ours)
		}
		st.alertID = ours[0].ID
		st.told("%s, %s, %d event(s), rule by %s", ours[0].Title, ours[0].Severity, ours[0].Count, ours[0].Author)
		return nil
	})
}

// incident: it holds the alert, and the playbook's order has been answered.
func (st *story) incident(ctx context.Context) error {
	err := st.await(ctx, func() error {
		found, err := list[api.Incident](ctx, st, "/v1/incidents", nil)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(found, func(in api.Incident) bool { return in.Device == press.String() })
		if i < 0 {
			return errors.New("no incident for the press yet")
		}
		if st.inc, err = get[api.Incident](ctx, st, "/v1/incidents/"+found[i].ID.String()); err != nil {
			return err
		}
		if !slices.Contains(st.inc.Alerts, st.alertID) || st.step("contained") == nil {
			return fmt.Errorf("incident %s is %s with %d alerts", st.inc.ID, st.inc.State, len(st.inc.Alerts))
		}
		return settled(st.inc)
	})
	if err != nil {
		return err
	}
	st.told("incident %s: %s, %s", st.inc.ID, st.inc.Title, st.inc.Severity)
	return st.provenSteps(ctx, "new", "triaged", "contained")
}

// step returns the incident's step into a state.
func (st *story) step(to string) *api.Step {
	for i := range st.inc.Timeline {
		if st.inc.Timeline[i].To == to {
			return &st.inc.Timeline[i]
		}
	}
	return nil
}

// settled wants the place in the log of every step.
func settled(in api.Incident) error {
	for _, s := range in.Timeline {
		if s.Audit == nil {
			return fmt.Errorf("step %q is not in the log yet", s.What)
		}
	}
	return nil
}

func (st *story) provenSteps(ctx context.Context, states ...string) error {
	for _, to := range states {
		s := st.step(to)
		if s == nil || s.Audit == nil {
			return core.E(core.KindNotFound, "demo", "the incident's timeline lacks a proven step into "+to)
		}
		action := "incident.moved"
		if to == "new" {
			action = "incident.opened"
		}
		if err := st.proven(ctx, *s.Audit, said{action, "incident/" + st.inc.ID.String(), to}, "%s: %s", to, s.By); err != nil {
			return err
		}
	}
	return nil
}

// firstApproval: the release waits for two persons, and one signature opens
// nothing.
func (st *story) firstApproval(ctx context.Context) error {
	err := st.await(ctx, func() error {
		d, err := get[api.Device](ctx, st, "/v1/devices/"+press.String())
		if err != nil {
			return err
		}
		i := slices.IndexFunc(d.Orders, func(o api.Order) bool { return o.Type == string(link.OrderRelease) && o.State == "awaiting" })
		if i < 0 {
			return errors.New("no release awaits approvals yet")
		}
		st.release = d.Orders[i]
		return nil
	})
	if err != nil {
		return err
	}
	st.told("order %s: release, asked for by %s, needs %d persons of the release role", st.release.ID, st.release.Requester, st.release.Needed)
	if err := st.approve(ctx, persons[0]); err != nil {
		return err
	}
	o, err := get[api.Order](ctx, st, "/v1/orders/"+st.release.ID.String())
	if err != nil {
		return err
	}
	local, err := st.agents[press].Status(ctx)
	if err != nil {
		return err
	}
	if o.State != "awaiting" || !slices.Equal(o.Approvals, []string{persons[0].ID.String()}) || !local.Contained {
		return core.E(core.KindDamaged, "demo", fmt.Sprintf("after one signature the order is %s by %v, the device contained: %v", o.State, o.Approvals, local.Contained))
	}
	return st.recorded(ctx, "order.approved", "order/"+st.release.ID.String(), "%s signed with her own key; the order still waits, the device is still contained", persons[0].ID)
}

// approve signs the order as a person does: with `interlock approve`, the own
// key and the own copy of the trust root.
func (st *story) approve(ctx context.Context, p ceremony.Person) error {
	cmd := exec.CommandContext(ctx, st.o.Program, "--data", st.paths().Dir, "--keys", st.keys(), "approve", st.release.ID.String(), "--as", p.ID.String(), "--yes")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("interlock approve as %s: %w: %s", p.ID, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// secondApproval: with two signatures the device itself opens its latch.
func (st *story) secondApproval(ctx context.Context) error {
	if err := st.sense(press, `{"do":"level","point":"lid","active":false,"type":"case_intrusion","clear":"case_closed"}`); err != nil {
		return err
	}
	err := st.await(ctx, func() error {
		local, err := st.agents[press].Status(ctx)
		if err == nil && (len(local.Sensors[0].Active) > 0 || len(local.Latches) == 0) {
			err = fmt.Errorf("the sensor's active points are %v, latches: %d", local.Sensors[0].Active, len(local.Latches))
		}
		return err
	})
	if err != nil {
		return err
	}
	st.told("the case is closed again, and the latch stays")
	if err := st.approve(ctx, persons[1]); err != nil {
		return err
	}
	err = st.await(ctx, func() error {
		o, err := get[api.Order](ctx, st, "/v1/orders/"+st.release.ID.String())
		if err != nil {
			return err
		}
		local, err := st.agents[press].Status(ctx)
		if err != nil {
			return err
		}
		if o.State != "done" || len(o.Approvals) != 2 || local.Contained || len(local.Latches) != 0 {
			return fmt.Errorf("the order is %s (%s); the device is contained: %v, latches: %+v", o.State, o.Detail, local.Contained, local.Latches)
		}
		return nil
	})
	if err != nil {
		return err
	}
	st.told("the device verified both signatures against its own trust root and released itself")
	return st.recorded(ctx, "order.done", "order/"+st.release.ID.String(), "%s and %s signed; the device's signed answer is in the log", persons[0].ID, persons[1].ID)
}

// verified: the incident is closed, by verification.
func (st *story) verified(ctx context.Context) error {
	err := st.await(ctx, func() (err error) {
		if st.inc, err = get[api.Incident](ctx, st, "/v1/incidents/"+st.inc.ID.String()); err != nil {
			return err
		}
		if st.inc.State != "closed" || st.step("closed") == nil || st.step("closed").By != "service/verification" {
			return fmt.Errorf("the incident is %s", st.inc.State)
		}
		return settled(st.inc)
	})
	if err != nil {
		return err
	}
	return st.provenSteps(ctx, "eradicating", "recovering", "verifying", "closed")
}

package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/identity"
	"github.com/interlock-security/interlock/policy"
)

// DeviceStatus is what a device last said of itself beside its sensors' states.
// All of it is the device's word, signed by it, and as old as At.
type DeviceStatus struct {
	At       time.Time      `json:"at"` // of its last heartbeat, by its own clock
	Received time.Time      `json:"received"`
	Mode     core.AgentMode `json:"mode,omitempty"`
	Version  string         `json:"version"`
	// Arming is "" where the device has not said; ArmedBy is order, schedule or
	// default.
	Arming      core.Arming   `json:"arming,omitempty"`
	ArmedBy     string        `json:"armed_by,omitempty"`
	ArmingUntil time.Time     `json:"arming_until,omitzero"`
	Ticket      string        `json:"ticket,omitempty"`
	Stopped     bool          `json:"stopped"`
	SpoolLost   uint64        `json:"spool_lost"`
	Bypasses    []Bypass      `json:"bypasses,omitempty"`
	Interfaces  []Interface   `json:"interfaces,omitempty"`
	DetailAt    time.Time     `json:"detail_at,omitzero"` // of values and interfaces
	Doctor      *DoctorReport `json:"doctor,omitempty"`
	Risk        *FeltRisk     `json:"risk,omitempty"`
	// Baseline is what the device last took for what it is made of, Parts the last
	// difference to it.
	Baseline *PartsReport `json:"baseline,omitempty"`
	Parts    *PartsReport `json:"parts,omitempty"`
	// Memory is the SHA-256 of what each sensor learned: the baseline in force.
	Memory map[string]string `json:"memory,omitempty"`
}

// Bypass is a sensor, or one input of it, that counts for nothing for a time.
type Bypass struct {
	Sensor  string    `json:"sensor"`
	Point   string    `json:"point,omitempty"`
	From    time.Time `json:"from"`
	Until   time.Time `json:"until"`
	Begun   bool      `json:"begun"`
	Reason  string    `json:"reason,omitempty"`
	Ticket  string    `json:"ticket,omitempty"`
	Persons []string  `json:"persons,omitempty"`
}

// Interface is something that can be plugged into the device.
type Interface struct {
	Sensor  string    `json:"sensor"`
	Kind    string    `json:"kind"`
	Name    string    `json:"name"`
	State   string    `json:"state"`
	What    string    `json:"what,omitempty"`
	Changed time.Time `json:"changed,omitzero"`
}

// Value is the last number of one input of a sensor.
type Value struct {
	Point string  `json:"point"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"` // UCUM
}

// DoctorReport is a device's last self-test. What could not be tested is skipped
// and no pass.
type DoctorReport struct {
	At      time.Time     `json:"at"`
	By      string        `json:"by,omitempty"`
	Pass    int           `json:"pass"`
	Fail    int           `json:"fail"`
	Warning int           `json:"warning"`
	Skipped int           `json:"skipped"`
	Checks  []DoctorCheck `json:"checks,omitempty"` // the worst of them
	LeftOut int           `json:"left_out,omitempty"`
}

// DoctorCheck is one line of it.
type DoctorCheck struct {
	Group   string `json:"group"`
	Subject string `json:"subject"` // a sensor, or a part of the agent
	Check   string `json:"check"`
	Result  string `json:"result"` // pass fail warning skipped
	Why     string `json:"why,omitempty"`
}

// FeltRisk is the risk that a device draws from what it feels, 0 to 100.
type FeltRisk struct {
	Score   float64      `json:"score"`
	Factors []RiskFactor `json:"factors,omitempty"`
}

// RiskFactor is a part of a risk.
type RiskFactor struct {
	What   string  `json:"what"`
	Points float64 `json:"points"`
}

// PartsReport is a difference between what a device is made of and its baseline.
type PartsReport struct {
	At     time.Time `json:"at"`
	Event  string    `json:"event"` // component_removed, firmware_changed, ...
	Sensor string    `json:"sensor"`
	// Component is its class: dimm, disk, pci; From and To are identities.
	Component string `json:"component,omitempty"`
	Place     string `json:"place,omitempty"`
	From      string `json:"from,omitempty"`
	To        string `json:"to,omitempty"`
	// SHA256 names the inventory as it is now: what an order baseline accepts.
	SHA256 string `json:"sha256,omitempty"`
}

// told are the fields of a heartbeat and of the other reports, of which a device
// may leave out any.
type told struct {
	Mode        core.AgentMode     `json:"mode"`
	Version     string             `json:"version"`
	Arming      core.Arming        `json:"arming"`
	ArmedBy     string             `json:"armed_by"`
	By          string             `json:"by"` // of a change of arming
	ArmingUntil int64              `json:"arming_until"`
	Until       int64              `json:"until"`
	ForS        int64              `json:"for_s"`
	Ticket      string             `json:"ticket"`
	Stopped     bool               `json:"stopped"`
	SpoolLost   uint64             `json:"spool_lost"`
	Why         map[string]string  `json:"why"`
	Kinds       map[string]string  `json:"kinds"`
	Proven      map[string]int64   `json:"proven"`
	Memory      map[string]string  `json:"memory"`
	Bypassed    []toldBypass       `json:"bypassed"`
	Live        map[string][]Value `json:"live"`
	Interfaces  []Interface        `json:"interfaces"`
	Risk        *FeltRisk          `json:"risk"`
}

type toldBypass struct {
	Sensor  string   `json:"sensor"`
	Point   string   `json:"point"`
	From    int64    `json:"from"`
	Until   int64    `json:"until"`
	Begun   bool     `json:"begun"`
	Reason  string   `json:"reason"`
	Ticket  string   `json:"ticket"`
	Persons []string `json:"persons"`
}

// sensorsOf puts what reports say of sensors beside their states.
func sensorsOf(list []Sensor, status, detail told) {
	for i := range list {
		s := &list[i]
		s.Why, s.Kind, s.Values = status.Why[s.ID], status.Kinds[s.ID], detail.Live[s.ID]
		if s.Kind == "" {
			s.Kind = detail.Kinds[s.ID]
		}
		if at := max(status.Proven[s.ID], detail.Proven[s.ID]); at > 0 {
			s.Proven = time.UnixMicro(at).UTC()
		}
		for _, b := range status.Bypassed {
			if b.Sensor == s.ID && b.Begun && b.Point == "" {
				s.BypassUntil = time.UnixMicro(b.Until).UTC()
			}
		}
	}
}

// reported reads what a device last said of itself; nil where it never did.
func (a *API) reported(ctx context.Context, tenant core.TenantID, id core.DeviceID, sensors []Sensor) (*DeviceStatus, error) {
	reports, err := a.Registry.Reports(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	beat, said := reports[fleet.ReportStatus]
	if !said {
		return nil, nil //nolint:nilnil // nothing was said, which is no error
	}
	status, detail := toldIn(beat), toldIn(reports[fleet.ReportDetail])
	sensorsOf(sensors, status, detail)
	st := &DeviceStatus{
		At: beat.At, Received: beat.Received, Mode: status.Mode, Version: status.Version, Arming: status.Arming, ArmedBy: status.ArmedBy, Ticket: status.Ticket,
		Stopped: status.Stopped, SpoolLost: status.SpoolLost, Interfaces: detail.Interfaces, DetailAt: reports[fleet.ReportDetail].At, Memory: status.Memory,
	}
	if status.Memory == nil {
		st.Memory = detail.Memory
	}
	if status.ArmingUntil > 0 {
		st.ArmingUntil = time.UnixMicro(status.ArmingUntil).UTC()
	}
	if change, changed := reports[fleet.ReportArming]; changed && change.At.After(beat.At) {
		st.rearmed(change)
	}
	for _, b := range status.Bypassed {
		st.Bypasses = append(st.Bypasses, Bypass{
			Sensor: b.Sensor, Point: b.Point, From: time.UnixMicro(b.From).UTC(), Until: time.UnixMicro(b.Until).UTC(), Begun: b.Begun,
			Reason: b.Reason, Ticket: b.Ticket, Persons: b.Persons,
		})
	}
	st.Doctor, st.Risk = doctorOf(reports[fleet.ReportDoctor]), status.Risk
	st.Baseline, st.Parts = partsOf(reports[fleet.ReportBaseline]), partsOf(reports[fleet.ReportParts])
	return st, nil
}

// rearmed takes a change of arming that came after the last heartbeat.
func (st *DeviceStatus) rearmed(r fleet.Report) {
	t := toldIn(r)
	st.Arming, st.ArmedBy, st.Ticket, st.ArmingUntil = t.Arming, t.By, t.Ticket, time.Time{}
	switch {
	case t.Until > 0:
		st.ArmingUntil = time.UnixMicro(t.Until).UTC()
	case t.ForS > 0:
		st.ArmingUntil = r.At.Add(time.Duration(min(t.ForS, 366*24*3600)) * time.Second)
	}
}

// toldIn reads a report field by field: one that is of another form than
// expected leaves the others.
func toldIn(r fleet.Report) (t told) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(r.Body, &fields) != nil {
		return t
	}
	for name, into := range map[string]any{
		"mode": &t.Mode, "version": &t.Version, "arming": &t.Arming, "armed_by": &t.ArmedBy, "by": &t.By, "arming_until": &t.ArmingUntil, "until": &t.Until,
		"for_s": &t.ForS, "ticket": &t.Ticket, "stopped": &t.Stopped, "spool_lost": &t.SpoolLost, "why": &t.Why, "kinds": &t.Kinds, "proven": &t.Proven,
		"memory": &t.Memory, "bypassed": &t.Bypassed, "live": &t.Live, "interfaces": &t.Interfaces, "risk": &t.Risk,
	} {
		if b := fields[name]; b != nil {
			_ = json.Unmarshal(b, into)
		}
	}
	return t
}

// doctorOf reads a self-test; nil where there was none.
func doctorOf(r fleet.Report) *DoctorReport {
	if r.Body == nil {
		return nil
	}
	d := &DoctorReport{}
	if json.Unmarshal(r.Body, d) != nil {
		d = &DoctorReport{Fail: 1, Checks: []DoctorCheck{{Group: "report", Check: "form", Result: "fail", Why: "the report can't be read here"}}}
	}
	d.At = r.At
	return d
}

// partsOf reads a report of the baseline; nil where there is none.
func partsOf(r fleet.Report) *PartsReport {
	p := &PartsReport{}
	if r.Body == nil || json.Unmarshal(r.Body, p) != nil {
		return nil
	}
	p.At = r.At
	return p
}

// seeDevice asks the Guard whether the caller may look at a device, and finds it.
func (a *API) seeDevice(ctx context.Context, name string) (who core.Principal, id core.DeviceID, err error) {
	if who, err = a.see(ctx, policy.DeviceShow, name); err != nil {
		return who, id, err
	}
	if id, err = core.ParseID[core.DeviceID](name); err != nil {
		return who, id, err
	}
	_, err = a.Registry.Get(ctx, who.Tenant, id)
	return who, id, err
}

// DeviceSensors lists what a device's sensors last said.
func (a *API) DeviceSensors(ctx context.Context, in *IDInput) (*Out[Page[Sensor]], error) {
	who, id, err := a.seeDevice(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	list, err := a.sensors(ctx, who.Tenant, id)
	if err != nil {
		return nil, err
	}
	if _, err := a.reported(ctx, who.Tenant, id, list); err != nil {
		return nil, err
	}
	return out(Page[Sensor]{Items: list, Total: len(list)}), nil
}

func (a *API) sensors(ctx context.Context, tenant core.TenantID, id core.DeviceID) ([]Sensor, error) {
	sensors, err := a.Registry.Sensors(ctx, tenant, id)
	list := make([]Sensor, 0, len(sensors))
	for _, s := range sensors {
		list = append(list, Sensor{Device: id, ID: s.ID, State: s.State, Since: s.Since, Simulated: s.Simulated})
	}
	return list, err
}

// WalkTest is a report of a device that somebody set off its sensors, each once.
type WalkTest struct {
	Hash      string    `json:"hash"` // SHA-256 of the report as it came
	At        time.Time `json:"at"`
	Received  time.Time `json:"received"`
	Simulated bool      `json:"simulated,omitempty"`
	By        string    `json:"by"` // as the device was told
	// Complete says that nothing is missing and something was set off.
	Complete  bool            `json:"complete"`
	Triggered []WalkItem      `json:"triggered" nullable:"false"`
	Missing   []WalkItem      `json:"missing" nullable:"false"`
	Report    json.RawMessage `json:"report"`
	Signed    time.Time       `json:"signed,omitzero"`
	SignedBy  string          `json:"signed_by,omitempty"`
	Note      string          `json:"note,omitempty"`
}

// WalkItem is a sensor, or one input of it, that was to be set off.
type WalkItem struct {
	Sensor string    `json:"sensor"`
	Point  string    `json:"point,omitempty"`
	At     time.Time `json:"at,omitzero"`
	Type   string    `json:"type,omitempty"` // what it said then
}

type toldWalkItem struct {
	Sensor string `json:"sensor"`
	Point  string `json:"point"`
	At     int64  `json:"at"`
	Type   string `json:"type"`
}

func walkItems(list []toldWalkItem) []WalkItem {
	items := make([]WalkItem, 0, len(list))
	for _, i := range list {
		item := WalkItem{Sensor: i.Sensor, Point: i.Point, Type: i.Type}
		if i.At > 0 {
			item.At = time.UnixMicro(i.At).UTC()
		}
		items = append(items, item)
	}
	return items
}

func walkTestOf(w fleet.WalkTest) WalkTest {
	var said struct {
		By        string         `json:"by"`
		Triggered []toldWalkItem `json:"triggered"`
		Missing   []toldWalkItem `json:"missing"`
	}
	_ = json.Unmarshal(w.Body, &said) // what can't be read was not set off
	return WalkTest{
		Hash: w.Hash, At: w.At, Received: w.Received, Simulated: w.Simulated, By: said.By, Report: w.Body, Signed: w.Signed, SignedBy: w.SignedBy, Note: w.Note,
		Triggered: walkItems(said.Triggered), Missing: walkItems(said.Missing), Complete: len(said.Missing) == 0 && len(said.Triggered) > 0,
	}
}

// WalkTests lists a device's walk tests, the newest first.
func (a *API) WalkTests(ctx context.Context, in *IDInput) (*Out[Page[WalkTest]], error) {
	who, id, err := a.seeDevice(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	list, err := a.walkTests(ctx, who.Tenant, id)
	if err != nil {
		return nil, err
	}
	return out(Page[WalkTest]{Items: list, Total: len(list)}), nil
}

func (a *API) walkTests(ctx context.Context, tenant core.TenantID, id core.DeviceID) ([]WalkTest, error) {
	tests, err := a.Registry.WalkTests(ctx, tenant, id)
	list := make([]WalkTest, 0, len(tests))
	for _, w := range tests {
		list = append(list, walkTestOf(w))
	}
	return list, err
}

// SignWalkTest puts one's name under a report.
type SignWalkTest struct {
	Hash string `json:"hash"` // of the report that was read
	Note string `json:"note"`
}

// SignWalkTestInput names the device and the report.
type SignWalkTestInput struct {
	ID   string `path:"id" doc:"The device's name"`
	Body SignWalkTest
}

// WalkTestDigest is what a person confirms who signs a walk test off.
func WalkTestDigest(device core.DeviceID, in SignWalkTest) [32]byte {
	b, _ := json.Marshal([]string{device.String(), in.Hash, in.Note}) // strings
	return identity.ConfirmDigest("walk-test", core.UUID{}, sha256.Sum256(b))
}

// SignWalkTest signs a walk test off, by a fresh word of the person to exactly
// this. The Guard is asked where it is signed.
func (a *API) SignWalkTest(ctx context.Context, in *SignWalkTestInput) (*Out[WalkTest], error) {
	id, err := core.ParseID[core.DeviceID](in.ID)
	if err != nil {
		return nil, err
	}
	who := principal(ctx)
	evidence, err := a.People.Proved(ctx, who, WalkTestDigest(id, in.Body))
	if err != nil {
		return nil, err
	}
	w, err := a.Registry.SignWalkTest(ctx, a.Guard, who, id, in.Body.Hash, in.Body.Note, evidence)
	if err != nil {
		return nil, err
	}
	return out(walkTestOf(w)), nil
}

// SetCriticality says how much depends on a device.
type SetCriticality struct {
	Criticality string `json:"criticality"` // low medium high critical
	Reason      string `json:"reason"`
}

// SetCriticalityInput names the device and the level.
type SetCriticalityInput struct {
	ID   string `path:"id" doc:"The device's name"`
	Body SetCriticality
}

// SetCriticality says how much depends on a device. The Guard is asked where it
// is written.
func (a *API) SetCriticality(ctx context.Context, in *SetCriticalityInput) (*Out[Device], error) {
	id, err := core.ParseID[core.DeviceID](in.ID)
	if err != nil {
		return nil, err
	}
	who := principal(ctx)
	if _, err := a.Registry.SetCriticality(ctx, a.Guard, who, id, fleet.Criticality(in.Body.Criticality), in.Body.Reason); err != nil {
		return nil, err
	}
	d, err := a.wholeDevice(ctx, who.Tenant, id)
	if err != nil {
		return nil, err
	}
	return out(d), nil
}

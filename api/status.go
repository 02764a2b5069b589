package api

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
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

// DoctorReport is a device's last self-test.
type DoctorReport struct {
	At      time.Time      `json:"at"`
	Verdict string         `json:"verdict"`
	Results []DoctorResult `json:"results,omitempty"`
}

// DoctorResult is one line of it: pass, fail, warning or skipped.
type DoctorResult struct {
	Sensor  string    `json:"sensor"`
	Verdict string    `json:"verdict"`
	Why     string    `json:"why,omitempty"`
	Proven  time.Time `json:"proven,omitzero"`
}

// FeltRisk is the risk that a device draws from what it feels.
type FeltRisk struct {
	Score   float64  `json:"score"`
	Factors []string `json:"factors,omitempty"`
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
	Risk        *toldRisk          `json:"risk"`
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

type toldRisk struct {
	Score   float64           `json:"score"`
	Factors []json.RawMessage `json:"factors"`
}

// sensorsOf puts what reports say of sensors beside their states.
func sensorsOf(list []Sensor, status, detail told) {
	for i := range list {
		s := &list[i]
		s.Why, s.Kind, s.Values = status.Why[s.ID], status.Kinds[s.ID], detail.Live[s.ID]
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
	st.Doctor, st.Risk = doctorOf(reports[fleet.ReportDoctor]), riskOf(reports[fleet.ReportRisk], status.Risk)
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

func doctorOf(r fleet.Report) *DoctorReport {
	if r.Body == nil {
		return nil
	}
	var said struct {
		Verdict string `json:"verdict"`
		Results []struct {
			Sensor  string `json:"sensor"`
			Verdict string `json:"verdict"`
			Why     string `json:"why"`
			Proven  int64  `json:"proven"`
		} `json:"results"`
	}
	d := &DoctorReport{At: r.At, Verdict: "unknown"}
	if json.Unmarshal(r.Body, &said) != nil {
		return d
	}
	if said.Verdict != "" {
		d.Verdict = said.Verdict
	}
	for _, one := range said.Results {
		line := DoctorResult{Sensor: one.Sensor, Verdict: one.Verdict, Why: one.Why}
		if one.Proven > 0 {
			line.Proven = time.UnixMicro(one.Proven).UTC()
		}
		d.Results = append(d.Results, line)
	}
	return d
}

func riskOf(r fleet.Report, inBeat *toldRisk) *FeltRisk {
	said := toldRisk{}
	switch {
	case r.Body != nil && json.Unmarshal(r.Body, &said) == nil:
	case inBeat != nil:
		said = *inBeat
	default:
		return nil
	}
	risk := &FeltRisk{Score: said.Score}
	for _, f := range said.Factors {
		var text string
		if json.Unmarshal(f, &text) != nil {
			text = string(f)
		}
		risk.Factors = append(risk.Factors, text)
	}
	return risk
}

// DeviceSensors lists what a device's sensors last said.
func (a *API) DeviceSensors(ctx context.Context, in *IDInput) (*Out[Page[Sensor]], error) {
	who, err := a.see(ctx, policy.DeviceShow, in.ID)
	if err != nil {
		return nil, err
	}
	id, err := core.ParseID[core.DeviceID](in.ID)
	if err != nil {
		return nil, err
	}
	if _, err := a.Registry.Get(ctx, who.Tenant, id); err != nil {
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

// WalkTest is a report of a device that each of its sensors was set off.
type WalkTest struct {
	Hash      string    `json:"hash"` // SHA-256 of the report as it came
	At        time.Time `json:"at"`
	Received  time.Time `json:"received"`
	Simulated bool      `json:"simulated,omitempty"`
	// Triggered and Missing are sensors that were set off, and those that weren't.
	Triggered []string        `json:"triggered"`
	Missing   []string        `json:"missing"`
	Report    json.RawMessage `json:"report"`
	Signed    time.Time       `json:"signed,omitzero"`
	SignedBy  string          `json:"signed_by,omitempty"`
	Note      string          `json:"note,omitempty"`
}

func walkTestOf(w fleet.WalkTest) WalkTest {
	shown := WalkTest{
		Hash: w.Hash, At: w.At, Received: w.Received, Simulated: w.Simulated, Report: w.Body, Signed: w.Signed, SignedBy: w.SignedBy, Note: w.Note,
		Triggered: []string{}, Missing: []string{},
	}
	var said struct {
		Sensors []struct {
			Sensor    string `json:"sensor"`
			ID        string `json:"id"`
			Triggered bool   `json:"triggered"`
		} `json:"sensors"`
	}
	if json.Unmarshal(w.Body, &said) != nil {
		return shown
	}
	for _, s := range said.Sensors {
		name := s.Sensor + s.ID
		if s.Triggered {
			shown.Triggered = append(shown.Triggered, name)
		} else {
			shown.Missing = append(shown.Missing, name)
		}
	}
	slices.Sort(shown.Triggered)
	slices.Sort(shown.Missing)
	return shown
}

// WalkTests lists a device's walk tests, the newest first.
func (a *API) WalkTests(ctx context.Context, in *IDInput) (*Out[Page[WalkTest]], error) {
	who, err := a.see(ctx, policy.DeviceShow, in.ID)
	if err != nil {
		return nil, err
	}
	id, err := core.ParseID[core.DeviceID](in.ID)
	if err != nil {
		return nil, err
	}
	if _, err := a.Registry.Get(ctx, who.Tenant, id); err != nil {
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

// SignWalkTest signs a walk test off. The Guard is asked where it is signed.
func (a *API) SignWalkTest(ctx context.Context, in *SignWalkTestInput) (*Out[WalkTest], error) {
	id, err := core.ParseID[core.DeviceID](in.ID)
	if err != nil {
		return nil, err
	}
	w, err := a.Registry.SignWalkTest(ctx, a.Guard, principal(ctx), id, in.Body.Hash, in.Body.Note)
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

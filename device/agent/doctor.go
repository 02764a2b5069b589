package agent

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/schedule"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/link"
)

// Group is what part of a machine a check is about.
type Group string

// The groups. The first three are named even where nothing watches them, and say
// so.
const (
	GroupGPIO     Group = "GPIO"
	GroupPower    Group = "POWER"
	GroupThermal  Group = "THERMAL"
	GroupSensors  Group = "SENSORS" // all others
	GroupSecurity Group = "SECURITY"
)

// Check is what a self-test found of one thing.
type Check struct {
	Group   Group  `json:"group"`
	Subject string `json:"subject"` // a sensor, or a part of the agent
	sensor.Finding
}

// Report is a self-test of a device.
type Report struct {
	V      int           `json:"v"` // 1
	Device core.DeviceID `json:"device,omitzero"`
	At     time.Time     `json:"at"`
	// Running says that the agent itself tested. Without it nothing is known of
	// what only it knows.
	Running bool    `json:"running"`
	Checks  []Check `json:"checks"`
}

// Counts returns how many checks ended how.
func (r *Report) Counts() map[sensor.Result]int {
	n := map[sensor.Result]int{sensor.Pass: 0, sensor.Fail: 0, sensor.Warning: 0, sensor.Untried: 0}
	for _, c := range r.Checks {
		n[c.Result]++
	}
	return n
}

// Code is the exit code: 0 everything passed, 1 something failed, 2 nothing
// failed and not everything could be tested, or needs a person.
func (r *Report) Code() int {
	n := r.Counts()
	switch {
	case n[sensor.Fail] > 0:
		return 1
	case n[sensor.Warning]+n[sensor.Untried] > 0 || len(r.Checks) == 0:
		return 2
	}
	return 0
}

func (r *Report) add(g Group, subject string, result sensor.Result, check, format string, args ...any) {
	r.Checks = append(r.Checks, Check{g, subject, sensor.Found(check, result, fmt.Sprintf(format, args...))})
}

// groupOf says what part of the machine a sensor of a kind belongs to.
func groupOf(kind string, values []monitor.Value) Group {
	switch kind {
	case "gpio":
		return GroupGPIO
	case "power":
		return GroupPower
	case "watchdog", "tpm", "clock":
		return GroupSecurity
	}
	for _, v := range values {
		switch v.Unit {
		case sensor.UnitVolt, sensor.UnitAmpere, sensor.UnitWatt:
			return GroupPower
		case sensor.UnitCelsius:
			return GroupThermal
		}
	}
	return GroupSensors
}

// Limits of a self-test.
const (
	testLimit = 60 * time.Second // of one sensor
	// provenFor is how long ago a sensor may have shown that it works to pass, and
	// provenAtAll how long ago before a person should look.
	provenFor   = 24 * time.Hour
	provenAtAll = 90 * 24 * time.Hour
)

// doctor tests everything that this device has. One runs at a time. Those that
// somebody at the machine asks for are told once a minute at most.
func (a *Agent) doctor(ctx context.Context, by string) (*Report, error) {
	if !a.testing.TryLock() {
		return nil, core.E(core.KindConflict, "agent.doctor", "a self-test is running")
	}
	defer a.testing.Unlock()
	found := a.testSensors(ctx)
	r := &Report{V: 1, Device: a.id.Device, At: a.cfg.Clock.Now(), Running: true}
	for _, s := range a.mon.Statuses() {
		g := groupOf(s.Kind, s.Values)
		r.reads(g, s, a.cfg.Clock.Now())
		for _, f := range found[s.ID] {
			r.Checks = append(r.Checks, Check{g, s.ID.String(), f})
		}
		r.proof(g, s, a.lastProven(s), a.cfg.Clock.Now())
	}
	r.uncovered()
	a.testSelf(r)
	if now := a.cfg.Elapsed(); by != "local" || a.toldTest == 0 || now-a.toldTest >= time.Minute {
		a.toldTest = max(now, 1)
		a.tellDoctor(r, by)
	}
	return r, ctx.Err()
}

// testSensors runs the self-tests that drivers have, side by side.
func (a *Agent) testSensors(ctx context.Context) map[core.SensorID][]sensor.Finding {
	type tested struct {
		id    core.SensorID
		found []sensor.Finding
	}
	results, waiting := make(chan tested), 0
	for _, s := range a.equipped {
		if t, can := s.(sensor.SelfTester); can {
			waiting++
			go func() { results <- tested{s.ID(), selfTest(ctx, t)} }()
		}
	}
	found := map[core.SensorID][]sensor.Finding{}
	for range waiting {
		r := <-results
		found[r.id] = r.found
		if proves(r.found) {
			a.mon.Proved(r.id)
		}
	}
	return found
}

// selfTest runs one; a panic of it is its own failure.
func selfTest(ctx context.Context, t sensor.SelfTester) (found []sensor.Finding) {
	defer func() {
		if v := recover(); v != nil {
			found = []sensor.Finding{sensor.Found("self-test", sensor.Fail, fmt.Sprintf("it panicked: %v", v))}
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, testLimit)
	defer cancel()
	return t.SelfTest(ctx)
}

// proves says whether everything that was driven was seen.
func proves(found []sensor.Finding) bool {
	driven := 0
	for _, f := range found {
		if f.Drives && f.Result != sensor.Pass {
			return false
		}
		if f.Drives {
			driven++
		}
	}
	return driven > 0
}

// reads says whether a sensor reads now.
func (r *Report) reads(g Group, s monitor.Status, now time.Time) {
	result, why := sensor.Warning, string(s.State)
	switch s.State {
	case core.SensorOK:
		result, why = sensor.Pass, fmt.Sprintf("last sign of life %s ago", max(0, now.Sub(s.LastSeen)).Round(time.Second))
	case core.SensorFault, core.SensorStale:
		result = sensor.Fail
	case core.SensorAlarm:
		why = fmt.Sprintf("in alarm at %v, %d latches", s.Active, len(s.Latches))
	case core.SensorUnknown:
		why = "it has not read yet"
	case core.SensorBypassed:
		why = "bypassed until " + s.BypassUntil.UTC().Format(time.RFC3339)
	}
	if s.Skipped && s.State == core.SensorUnknown {
		result = sensor.Untried
	}
	if s.Why != "" && s.State != core.SensorOK {
		why += ": " + s.Why
	}
	if s.Simulated && result == sensor.Pass {
		result, why = sensor.Warning, "simulated: it says nothing of this machine"
	}
	r.add(g, s.ID.String(), result, "reads", "%s", why)
}

// proof says when a sensor last showed that it works. That it reads is no proof:
// a contact that is welded shut reads well.
func (r *Report) proof(g Group, s monitor.Status, last, now time.Time) {
	const check = "last proven good"
	switch age := now.Sub(last); {
	case s.Simulated || len(s.Of) > 0: // a fusion is as good as its sensors
	case last.IsZero():
		r.add(g, s.ID.String(), sensor.Untried, check, "never: nothing has moved at it and no test drives it; a walk test shows whether it works")
	case age < 0:
		r.add(g, s.ID.String(), sensor.Warning, check, "%s, which has not come yet by this machine's clock", stamp(last.UnixMicro()))
	case age > provenAtAll:
		r.add(g, s.ID.String(), sensor.Warning, check, "%s, over 90 days ago; do a walk test", stamp(last.UnixMicro()))
	case age > provenFor:
		r.add(g, s.ID.String(), sensor.Untried, check, "%s; nothing has moved at it since", stamp(last.UnixMicro()))
	default:
		r.add(g, s.ID.String(), sensor.Pass, check, "%s", stamp(last.UnixMicro()))
	}
}

// uncovered names the groups that nothing watches.
func (r *Report) uncovered() {
	for _, x := range []struct {
		group Group
		what  string
	}{{GroupGPIO, "no sensor watches GPIO lines"}, {GroupPower, "no sensor measures supplies"}, {GroupThermal, "no sensor measures temperature"}} {
		if !slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Group == x.group }) {
			r.add(x.group, "-", sensor.Untried, "configured", "%s", x.what)
		}
	}
}

// testSelf looks at what protects the device beside its sensors.
func (a *Agent) testSelf(r *Report) {
	is := func(ok bool, otherwise sensor.Result) sensor.Result {
		if ok {
			return sensor.Pass
		}
		return otherwise
	}
	protection := a.key.Protection()
	r.add(GroupSecurity, "key", is(protection != "software", sensor.Warning), "protection", "%s", protection)
	t := a.store.Time()
	r.add(GroupSecurity, "clock", is(schedule.Bounded(t) && t.Upper.Sub(t.Lower) <= 24*time.Hour, sensor.Warning), "bounds", "%s", boundsOf(t))
	r.firewall(a.firewall().Enforces(), func() error { _, err := a.reflex.Status(); return err })
	st := a.spool.Stats()
	r.add(GroupSecurity, "spool", is(st.Lost == 0 && st.Bytes < st.Limit*3/4, sensor.Warning), "room",
		"%d of %d bytes, %d events lost since the start", st.Bytes, st.Limit, st.Lost)
	r.disk(a.cfg.DataDir)
	r.add(GroupSecurity, "server", is(a.inTouch(), sensor.Warning), "in touch", "mode %s", a.mode())
	r.add(GroupSecurity, "trust root", is(a.trust.Load().Witnessed(), sensor.Warning), "outside witness", "version %d", a.trust.Load().Root().Version)
	if !slices.ContainsFunc(a.cfg.Sensors, func(s SensorConfig) bool { return s.Driver == "watchdog" }) {
		r.add(GroupSecurity, "watchdog", sensor.Untried, "configured", "no hardware watchdog: an agent that was killed is noticed by the server alone")
	}
}

func boundsOf(t link.TrustedTime) string {
	if t.Upper.IsZero() {
		return "none: nothing proves that the time is not later; schedules grant nothing"
	}
	said := fmt.Sprintf("the time is between %s and %s", stamp(t.Lower.UnixMicro()), stamp(t.Upper.UnixMicro()))
	if t.Upper.Sub(t.Lower) > 24*time.Hour {
		said += ", over a day apart: schedules grant nothing until a witness vouches for the time"
	}
	return said
}

func (r *Report) firewall(enforces bool, ask func() error) {
	if !enforces {
		r.add(GroupSecurity, "quarantine", sensor.Warning, "enforced", "no: this machine only says what it would do")
		return
	}
	if err := ask(); err != nil {
		r.add(GroupSecurity, "quarantine", sensor.Fail, "firewall answers", "%v", err)
		return
	}
	r.add(GroupSecurity, "quarantine", sensor.Pass, "firewall answers", "a quarantine itself was not tried")
}

// leastFree is the part of a file system that has to be free, in percent.
const leastFree = 5

func (r *Report) disk(dir string) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil || st.Blocks == 0 {
		r.add(GroupSecurity, "disk", sensor.Fail, "room", "%s: %v", dir, err)
		return
	}
	free, result := st.Bavail*100/st.Blocks, sensor.Pass
	if free < leastFree {
		result = sensor.Warning
	}
	r.add(GroupSecurity, "disk", result, "room", "%d %% of the file system of %s are free", free, dir)
}

// lastProven is when a sensor last showed that it works, in this run of the agent
// or before it.
func (a *Agent) lastProven(s monitor.Status) time.Time {
	last := s.Proven
	a.view(func(_ string, b *body) {
		if kept := b.Proven[s.ID.String()]; kept > 0 && time.UnixMicro(kept).After(last) {
			last = time.UnixMicro(kept)
		}
	})
	return last
}

// Bounds of what an event says of a self-test.
const (
	maxToldChecks = 40
	maxToldWhy    = 160
)

// tellDoctor records a self-test, and each sensor that failed its own.
func (a *Agent) tellDoctor(r *Report, by string) {
	n := r.Counts()
	worst := slices.Clone(r.Checks)
	rank := []sensor.Result{sensor.Fail, sensor.Warning, sensor.Untried, sensor.Pass}
	slices.SortStableFunc(worst, func(x, y Check) int { return cmp.Compare(slices.Index(rank, x.Result), slices.Index(rank, y.Result)) })
	worst = worst[:min(len(worst), maxToldChecks)]
	for i := range worst {
		worst[i].Check, worst[i].Why = clipTo(worst[i].Check, 64), clipTo(worst[i].Why, maxToldWhy)
	}
	a.tell("doctor_report", core.SeverityInfo, map[string]any{
		"by": by, "code": r.Code(), "pass": n[sensor.Pass], "fail": n[sensor.Fail], "warning": n[sensor.Warning], "skipped": n[sensor.Untried],
		"checks": worst, "left_out": len(r.Checks) - len(worst),
	})
	for _, c := range r.Checks {
		if c.Result != sensor.Fail || c.Finding.Check == "reads" { // that alarms as FAULT or STALE already
			continue
		}
		e := a.event("self_test_failed", core.SeverityHigh, map[string]any{"group": c.Group, "subject": c.Subject, "check": c.Finding.Check, "why": c.Why})
		e.Class = core.ClassDetectionFinding
		if id, err := core.ParseID[core.SensorID](c.Subject); err == nil && c.Group != GroupSecurity {
			e.Sensor, e.State = id.String(), core.SensorFault
		}
		a.rec.put(entry{event: e})
	}
}

package hil

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/link/ceremony"
	"github.com/interlock-security/interlock/test/hil/control"
	"github.com/interlock-security/interlock/test/rig"
)

// The lines of the simulated GPIO chip. Pulled up means open: nobody holds the
// switch's contact closed.
const (
	lineLid  = 0
	lineSeal = 1
)

// tale is what the checks of the break-in found out for those after them.
type tale struct {
	opened   core.Event
	alert    core.UUID
	incident api.Incident
	release  api.Order
}

// bounced: what a loose contact does is nothing, neither an event nor a latch.
// The kernel's debounce is asked here; heartbeats on both sides show that the
// device was alive and had nothing to say.
func (l *loop) bounced(ctx context.Context) (string, error) {
	const width = 20 * time.Millisecond
	var b control.Bounced
	if err := l.m.do(ctx, "gpio.bounce", control.Bounce{Line: lineSeal, Width: width.Microseconds(), Times: 10}, &b); err != nil {
		return "", err
	}
	longest := (time.Duration(b.Longest) * time.Microsecond).Round(100 * time.Microsecond)
	if longest > sealDebounce*3/4 {
		return "", fmt.Errorf("the guest's bounce of %s became %s and was none any more; give this host less to do meanwhile", width, longest)
	}
	return l.nothingSaid(ctx, fmt.Sprintf("10 times %s, the longest of %s: no event", width, longest))
}

// nothingSaid waits for heartbeats of the device and wants nothing of the case
// among the events before them.
func (l *loop) nothingSaid(ctx context.Context, detail string) (string, error) {
	beats, err := l.awaitEvents(ctx, "heartbeat", "heartbeat", "heartbeat")
	if err != nil {
		return "", err
	}
	list, err := l.s.events(ctx)
	if err != nil {
		return "", err
	}
	for _, e := range list {
		if e.Sequence > l.seen && e.Sequence <= beats[2].Sequence && sensorOf(e) == "case" {
			return "", fmt.Errorf("event %d is %s: %s", e.Sequence, e.Type, e.Fields)
		}
	}
	return detail, nil
}

// sensorOf is the sensor that an event is about, "" for none.
func sensorOf(e core.Event) string {
	var f struct {
		Sensor string `json:"sensor"`
	}
	if json.Unmarshal(e.Fields, &f) != nil {
		return ""
	}
	return f.Sensor
}

// opened: the lid's switch opens, and the event is in the server's journal as
// the device signed it.
func (l *loop) opened(ctx context.Context) (string, error) {
	if err := l.m.do(ctx, "gpio.pull", control.Pull{Line: lineLid, Up: true}, nil); err != nil {
		return "", err
	}
	found, err := l.awaitEvents(ctx, "case_intrusion", "quarantine_on")
	if err != nil {
		return "", err
	}
	l.tale.opened = found[0]
	var reflex struct {
		Enforced bool   `json:"enforced"`
		Why      string `json:"why"`
	}
	if err := json.Unmarshal(found[1].Fields, &reflex); err != nil {
		return "", err
	}
	if found[0].Severity != core.SeverityCritical || !reflex.Enforced || !strings.HasPrefix(reflex.Why, "latch ") {
		return "", fmt.Errorf("its severity is %s, then %s", found[0].Severity, found[1].Fields)
	}
	after := found[1].Time.Sub(found[0].Time).Round(100 * time.Microsecond)
	return fmt.Sprintf("event %d, device-signed, %s; contained by reflex %s later, before any order", found[0].Sequence, found[0].Severity, after), l.signed(ctx, found[0])
}

// signed holds an event of the journal against the batch that the device
// signed, as the journal keeps it.
func (l *loop) signed(ctx context.Context, e core.Event) error {
	var found bool
	err := l.s.api.Stream(ctx, "/v1/events?last=2000", func(text []byte) error {
		var record core.Event
		if err := json.Unmarshal(text, &record); err != nil {
			return err
		}
		var b struct {
			Payload string `json:"payload"`
			First   uint64 `json:"first"`
			Last    uint64 `json:"last"`
		}
		if record.Type != "device_batch" || record.Device != e.Device || json.Unmarshal(record.Fields, &b) != nil || e.Sequence < b.First || e.Sequence > b.Last {
			return nil
		}
		batch, err := link.DecodeBatch([]byte(b.Payload))
		if err != nil {
			return err
		}
		own := batch.Events[e.Sequence-batch.First]
		if own.ID != e.ID || own.Type != e.Type {
			return fmt.Errorf("event %d is not what the device signed: %s", e.Sequence, own.Type)
		}
		found = true
		return nil
	})
	if err == nil && !found {
		err = fmt.Errorf("no signed batch holds event %d", e.Sequence)
	}
	return err
}

// alerted: one alert, by the shipped rule.
func (l *loop) alerted(ctx context.Context) (string, error) {
	var a api.Alert
	err := await(ctx, func() error {
		list, err := page[api.Alert](ctx, l.s, "/v1/alerts")
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(a api.Alert) bool {
			return a.Rule != "interlock-device-tampered" || !slices.Contains(a.Events, l.tale.opened.ID)
		})
		if len(list) != 1 {
			return fmt.Errorf("%d alerts name the event, want 1", len(list))
		}
		a = list[0]
		return nil
	})
	if err != nil {
		return "", err
	}
	if a.Simulated || a.Author == "" || a.Provenance != core.ProvenanceDevice {
		return "", fmt.Errorf("the alert is %+v", a)
	}
	l.tale.alert = a.ID
	return fmt.Sprintf("%q, %s, rule by %s", a.Title, a.Severity, a.Author), nil
}

// responded: the incident holds the alert and says contained; every step of it
// has its place in the audit log.
func (l *loop) responded(ctx context.Context) (string, error) {
	err := await(ctx, func() error {
		list, err := page[api.Incident](ctx, l.s, "/v1/incidents")
		if err != nil {
			return err
		}
		for _, in := range list {
			if in.Device != device.String() {
				continue
			}
			if l.tale.incident, err = get[api.Incident](ctx, l.s, "/v1/incidents/"+in.ID.String()); err != nil {
				return err
			}
			if slices.Contains(l.tale.incident.Alerts, l.tale.alert) {
				return l.reached("contained")
			}
		}
		return fmt.Errorf("none of %d incidents holds the alert", len(list))
	})
	return fmt.Sprintf("%q, %s", l.tale.incident.Title, l.tale.incident.State), err
}

// reached returns nil if the incident has come into a state and all of its
// steps are in the log.
func (l *loop) reached(state string) error {
	in := l.tale.incident
	if !slices.ContainsFunc(in.Timeline, func(s api.Step) bool { return s.To == state }) {
		return fmt.Errorf("the incident is %s", in.State)
	}
	for _, s := range in.Timeline {
		if s.Audit == nil {
			return fmt.Errorf("step %q is not in the log yet", s.What)
		}
	}
	return nil
}

// quarantined: the guest's kernel holds the rules, what is outside can't be
// reached, and the server can.
func (l *loop) quarantined(ctx context.Context) (string, error) {
	rules, err := l.rules(ctx)
	if err != nil {
		return "", err
	}
	_, port, _ := strings.Cut(l.s.agents, ":")
	server := "ip daddr " + control.GuestServer + " tcp dport " + port + " accept"
	if drops := strings.Count(rules, "policy drop"); drops != 3 || !strings.Contains(rules, "table inet interlock") || !strings.Contains(rules, server) {
		return "", fmt.Errorf("%d chains drop, want 3, and one rule %q:\n%s", drops, server, rules)
	}
	if err := l.reaches(ctx, shut); err == nil {
		return "", errors.New("the device still reaches its peer")
	}
	if err := l.linked(ctx); err != nil {
		return "", fmt.Errorf("the server's link: %w", err)
	}
	return fmt.Sprintf("3 chains that drop, %d rules that accept; its peer is out of reach, the server's link stays", strings.Count(rules, " accept")), nil
}

// rules are what nft(8) in the guest lists.
func (l *loop) rules(ctx context.Context) (string, error) {
	var f control.File
	err := l.m.do(ctx, "nft", nil, &f)
	return f.Text, err
}

// linked wants an event from the device that was made after now.
func (l *loop) linked(ctx context.Context) error {
	list, err := l.s.events(ctx)
	if err != nil || len(list) == 0 {
		return fmt.Errorf("no events: %w", err)
	}
	newest := list[len(list)-1].Sequence
	return await(ctx, func() error {
		list, err := l.s.events(ctx)
		if err == nil && list[len(list)-1].Sequence < newest+2 {
			err = fmt.Errorf("nothing new since event %d", newest)
		}
		return err
	})
}

// killed: the agent is killed as by a crash and started again; the latches are
// the same ones, and the quarantine never was away.
func (l *loop) killed(ctx context.Context) (string, error) {
	before, err := l.local(ctx)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(before.Latches, func(x localLatch) bool { return x.Sensor == "case" && x.Type == "case_intrusion" })
	if i < 0 || !before.Contained {
		return "", fmt.Errorf("the device says contained %v, latches %+v", before.Contained, before.Latches)
	}
	if err := l.m.do(ctx, "agent.kill", nil, nil); err != nil {
		return "", err
	}
	rules, err := l.rules(ctx)
	if err != nil {
		return "", err
	}
	if !strings.Contains(rules, "table inet interlock") {
		return "", errors.New("while no agent ran the rules were away")
	}
	if err := l.m.do(ctx, "agent.start", control.Start{}, nil); err != nil {
		return "", err
	}
	if err := l.stillHeld(ctx, before); err != nil {
		return "", err
	}
	return fmt.Sprintf("latch %s… is still set, and the rules stood while no agent ran", before.Latches[i].ID[:8]), l.linked(ctx)
}

// powerCut resets the machine in the middle of everything, as a plug that is
// pulled and put back does: what was not synced is lost. What was latched must
// not be.
func (l *loop) powerCut(ctx context.Context) (string, error) {
	before, err := l.local(ctx)
	if err != nil {
		return "", err
	}
	if err := l.m.reset(ctx); err != nil {
		return "", err
	}
	if rules, err := l.rules(ctx); err != nil || strings.Contains(rules, "table inet interlock") {
		return "", fmt.Errorf("the machine was not reset, its kernel still has our rules: %w", err)
	}
	if err := l.hardware(ctx); err != nil {
		return "", err
	}
	if err := l.m.do(ctx, "agent.start", control.Start{}, nil); err != nil {
		return "", err
	}
	if err := l.stillHeld(ctx, before); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d latches are still set and the rules are back, before anybody was asked", len(before.Latches)), l.linked(ctx)
}

// stillHeld waits until the device is as it was: the same latches, contained.
func (l *loop) stillHeld(ctx context.Context, before local) error {
	return await(ctx, func() error {
		st, err := l.local(ctx)
		if err == nil && (!slices.Equal(st.Latches, before.Latches) || !st.Contained || !st.Firewall.Intact) {
			err = fmt.Errorf("the device says contained %v (%+v), latches %+v; before it was %+v", st.Contained, st.Firewall, st.Latches, before.Latches)
		}
		return err
	})
}

// firstApproval: the release waits for two persons, and one opens nothing.
func (l *loop) firstApproval(ctx context.Context) (string, error) {
	err := await(ctx, func() error {
		d, err := get[api.Device](ctx, l.s, "/v1/devices/"+device.String())
		if err != nil {
			return err
		}
		i := slices.IndexFunc(d.Orders, func(o api.Order) bool { return o.Type == string(link.OrderRelease) && o.State == "awaiting" })
		if i < 0 {
			return fmt.Errorf("no release waits for approval among %d orders", len(d.Orders))
		}
		l.tale.release = d.Orders[i]
		return nil
	})
	if err != nil {
		return "", err
	}
	if err := l.approve(ctx, persons[0]); err != nil {
		return "", err
	}
	o, err := get[api.Order](ctx, l.s, "/v1/orders/"+l.tale.release.ID.String())
	if err != nil {
		return "", err
	}
	if o.State != "awaiting" || !slices.Equal(o.Approvals, []string{persons[0]}) || o.Needed != 2 {
		return "", fmt.Errorf("the order is %s, approved by %v, needs %d", o.State, o.Approvals, o.Needed)
	}
	rules, err := l.rules(ctx)
	if err == nil && !strings.Contains(rules, "table inet interlock") {
		err = errors.New("one signature opened the device")
	}
	return fmt.Sprintf("%s signed, 1 of %d; the device stays in quarantine", persons[0], o.Needed), err
}

// approve signs as a person does, with the own key and the own trust root.
func (l *loop) approve(ctx context.Context, person string) error {
	_, err := l.s.run(ctx, "approve", l.tale.release.ID.String(), "--as", person, "--yes")
	return err
}

// secondApproval: the case is closed, which opens nothing; the second signature
// does.
func (l *loop) secondApproval(ctx context.Context) (string, error) {
	if err := l.m.do(ctx, "gpio.pull", control.Pull{Line: lineLid, Up: false}, nil); err != nil {
		return "", err
	}
	err := await(ctx, func() error {
		st, err := l.local(ctx)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(st.Sensors, func(s localSensor) bool { return s.ID == "case" }); i < 0 || len(st.Sensors[i].Active) > 0 {
			return fmt.Errorf("the device says of its sensors: %+v", st.Sensors)
		}
		if len(st.Latches) == 0 || !st.Contained {
			return errors.New("closing the case let the device go")
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if err := l.approve(ctx, persons[1]); err != nil {
		return "", err
	}
	err = await(ctx, func() error {
		o, err := get[api.Order](ctx, l.s, "/v1/orders/"+l.tale.release.ID.String())
		if err == nil && (o.State != "done" || len(o.Approvals) != 2) {
			err = fmt.Errorf("the order is %s (%s), approved by %v", o.State, o.Detail, o.Approvals)
		}
		return err
	})
	return fmt.Sprintf("the case is closed; %s signed; the device took both signatures", persons[1]), err
}

// released: the rules are gone and the peer is there again.
func (l *loop) released(ctx context.Context) (string, error) {
	err := await(ctx, func() error {
		rules, err := l.rules(ctx)
		if err == nil && strings.Contains(rules, "table inet interlock") {
			err = errors.New("the rules are still there")
		}
		return err
	})
	if err != nil {
		return "", err
	}
	st, err := l.local(ctx)
	if err != nil {
		return "", err
	}
	if len(st.Latches) != 0 || st.Contained {
		return "", fmt.Errorf("the device says contained %v, latches %+v", st.Contained, st.Latches)
	}
	if n, err := l.count(ctx, "case_intrusion"); err != nil || n != 1 {
		return "", fmt.Errorf("the opening was told %d times: %w", n, err)
	}
	return "the opening was told once; no rule of ours is left in the guest's kernel, its peer answers again", l.reaches(ctx, rig.Patience)
}

// count is how many events of a type the device has told of since it enrolled.
func (l *loop) count(ctx context.Context, kind string) (n int, err error) {
	list, err := l.s.events(ctx)
	for _, e := range list {
		if e.Type == kind {
			n++
		}
	}
	return n, err
}

// closed: verification, and nobody else, closes the incident.
func (l *loop) closed(ctx context.Context) (string, error) {
	var last api.Step
	err := await(ctx, func() (err error) {
		if l.tale.incident, err = get[api.Incident](ctx, l.s, "/v1/incidents/"+l.tale.incident.ID.String()); err != nil {
			return err
		}
		if err := l.reached("closed"); err != nil {
			return err
		}
		i := slices.IndexFunc(l.tale.incident.Timeline, func(s api.Step) bool { return s.To == "closed" })
		last = l.tale.incident.Timeline[i]
		return nil
	})
	if err == nil && last.By != "service/verification" {
		err = fmt.Errorf("it was closed by %s", last.By)
	}
	return fmt.Sprintf("verified, %d steps, closed by %s", len(l.tale.incident.Timeline), last.By), err
}

// proven has each step of the incident proved by `interlock audit proof` and
// checked by a program that has nothing of ours in it, and sees the same
// program refuse a proof of which one bit was changed.
func (l *loop) proven(ctx context.Context) (string, error) {
	trust, err := ceremony.LoadTrust(l.s.Keys)
	if err != nil {
		return "", err
	}
	key := trust.Root().LogKey
	args := []string{key}
	for _, s := range l.tale.incident.Timeline {
		file := filepath.Join(l.s.Dir, "step-"+strconv.FormatUint(s.Audit.Index, 10))
		if _, err := l.s.run(ctx, "audit", "proof", strconv.FormatUint(s.Audit.Index, 10), "--origin", s.Audit.Origin, "--out", file); err != nil {
			return "", err
		}
		args = append(args, file)
	}
	out, err := exec.CommandContext(ctx, l.checker, args...).Output()
	if err != nil {
		return "", fmt.Errorf("proofcheck: %w", exitText(err))
	}
	if err := l.saysTheSame(string(out)); err != nil {
		return "", err
	}
	if err := l.refusesChanged(ctx, key, args[1]); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d steps proved and checked by public modules alone; one changed bit is refused", len(args)-1), nil
}

// saysTheSame holds what the proofs' entries say against the timeline.
func (l *loop) saysTheSame(out string) error {
	lines := bufio.NewScanner(strings.NewReader(out))
	for _, s := range l.tale.incident.Timeline {
		if !lines.Scan() {
			return errors.New("proofcheck checked fewer proofs than it was given")
		}
		var e struct {
			Index  uint64 `json:"index"`
			Header struct {
				Action  string `json:"action"`
				Object  string `json:"object"`
				Outcome string `json:"outcome"`
			} `json:"header"`
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return err
		}
		about := e.Header.Object == "incident/"+l.tale.incident.ID.String() || slices.Contains(s.Refs, e.Header.Object)
		if e.Index != s.Audit.Index || !about || s.To != "" && e.Header.Outcome != s.To {
			return fmt.Errorf("step %q (%s) is proved by %s", s.What, s.To, lines.Text())
		}
	}
	return nil
}

func (l *loop) refusesChanged(ctx context.Context, key, path string) error {
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	file[len(file)/2] ^= 1
	if err := os.WriteFile(path, file, 0o600); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, l.checker, key, path).Output(); err == nil {
		return fmt.Errorf("a changed proof was taken: %s", out)
	}
	return nil
}

func exitText(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return err
}

var verifiedLog = regexp.MustCompile(`([1-9][0-9]*) entries verified`)

// wholeLog: the server's running log verifies from the bytes on its disk.
func (l *loop) wholeLog(ctx context.Context) (string, error) {
	out, err := l.s.run(ctx, "audit", "verify")
	if err != nil {
		return "", err
	}
	m := verifiedLog.FindStringSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("audit verify says %q", out)
	}
	return m[1] + " entries", nil
}

package hil

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link/ceremony"
	"github.com/interlock-security/interlock/test/hil/control"
	"github.com/interlock-security/interlock/test/rig"
)

// How long a contact must be open before it counts. The seal's, which is made to
// bounce, has much room: a guest that is not given the processor makes longer
// pulses than it was asked for.
const (
	lidDebounce  = 60 * time.Millisecond
	sealDebounce = 800 * time.Millisecond
)

var device = core.MustID[core.DeviceID]("press-7")

// loop is one run: the server here, the device in the machine, and what earlier
// checks found out.
type loop struct {
	s      *server
	m      *machine
	peer   net.Listener
	bmc    *bmc
	checks int
	seen   uint64 // sequence of the newest event before the present check
	// unwatched and tpmPulled are seen when the agent was killed and when the TPM
	// was pulled.
	unwatched, tpmPulled uint64
	// sensors are those that the device is configured with.
	sensors []string
	tale    tale
	// checker is the program that checks proofs without anything of ours.
	checker string
}

// TestHardwareInTheLoop tells the story of one device, in order: each check
// begins where the one before it ended, so the first that fails ends it.
func TestHardwareInTheLoop(t *testing.T) {
	l := bring(t)
	for _, c := range []struct {
		name string
		run  func(context.Context) (string, error)
	}{
		{"the machine is up", l.booted},
		{"a TPM is there", l.tpmPresent},
		{"the device is enrolled and online", l.enrolled},
		{"the guest reaches the server and its peer, nothing else", l.walled},
		{"a contact bounces", l.bounced},
		{"the case is opened", l.opened},
		{"an alert", l.alerted},
		{"an incident", l.responded},
		{"the device is in quarantine", l.quarantined},
		{"the agent is killed (kill -9) and started again", l.killed},
		{"the power is cut and comes back", l.powerCut},
		{"the first approval", l.firstApproval},
		{"the second approval", l.secondApproval},
		{"the device is released", l.released},
		{"the incident is closed", l.closed},
		{"the incident is proved", l.proven},
		{"200 trips, edge → journal → contained", l.measured},
		{"everything that can be sensed is configured at once", l.sensing},
		{"`interlock agent sensors --json`", l.live},
		{"`interlock agent doctor --json`", l.doctor},
		{"what the agent costs", l.cost},
		{"a panel bounces, then it is open for 60 ms", l.panel},
		{"two more mainboards' case switches", l.switches},
		{"a case behind a management controller", l.controller},
		{"the machine is tilted, then drilled at", l.handled},
		{"a supply sags and is raised, a fan stops, the board is hot", l.rails},
		{"the clock is set forward, then back", l.clock},
		{"a supervised loop opens, is cut, shorted, tampered with", l.supervised},
		{"light falls into the case, and it is frozen", l.air},
		{"one file freezes", l.frozen},
		{"one chip is torn out", l.unplugged},
		{"one case of all its switches", l.enclosure},
		{"the parts of the machine", l.identified},
		{"a card is put into a slot", l.card},
		{"a memory module is put in", l.memory},
		{"a card is put into the SD slot", l.sdCard},
		{"the mains fail", l.mains},
		{"a USB stick is plugged in", l.stick},
		{"a pointer that is on the list is plugged in", l.pointer},
		{"a keyboard that claims to be that pointer is plugged in", l.keyboard},
		{"the agent is killed: the watchdog bites", l.bites},
		{"a keyboard is plugged in while no agent runs", l.behind},
		{"the TPM is pulled", l.pullTPM},
		{"a disk was swapped while no agent ran", l.swapped},
		{"a disk is removed", l.disk},
		{"the network cable is cut and put back", l.cut},
		{"the TPM is missed", l.missTPM},
		{"the audit log verifies", l.wholeLog},
	} {
		l.check(t, c.name, c.run)
	}
	fmt.Printf("%d checks, each ok, none skipped\n", l.checks)
}

// check prints one line.
func (l *loop) check(t *testing.T, name string, run func(context.Context) (string, error)) {
	t.Helper()
	began := time.Now()
	if list, err := l.s.events(t.Context()); err == nil && len(list) > 0 {
		l.seen = list[len(list)-1].Sequence
	}
	detail, err := run(t.Context())
	took := time.Since(began).Round(time.Millisecond)
	if err != nil {
		fmt.Printf("FAIL %s … %s\n", name, took)
		t.Logf("the device says of itself:\n%s", l.asked(t.Context()))
		t.Fatalf("%s: %v", name, err)
	}
	l.checks++
	line, more, _ := strings.Cut(detail, "\n")
	fmt.Printf("ok   %s: %s … %s\n%s", name, line, took, more)
}

// asked is the device's own status, whole, for whoever looks for a fault.
func (l *loop) asked(ctx context.Context) string {
	var text json.RawMessage
	if err := l.m.do(ctx, "agent.status", nil, &text); err != nil {
		return err.Error()
	}
	var list []core.Event
	list, _ = l.s.events(ctx)
	for _, e := range list {
		if e.Sequence > l.seen && e.Type != "heartbeat" {
			text = fmt.Appendf(text, "\n%d %s %s %s", e.Sequence, e.Type, e.Severity, e.Fields)
		}
	}
	return string(text)
}

// bring builds what is needed, boots the machine and starts the server.
func bring(t *testing.T) *loop {
	t.Helper()
	began := time.Now()
	needTools(t)
	ctx := t.Context()
	folder, err := kernel(ctx)
	if err != nil {
		t.Fatal(err)
	}
	dir, program := rig.Short(t), rig.Program(t, "interlock") // unix sockets are in it
	programs := filepath.Join(dir, "bin")
	if err := rig.Build(programs, "./guest", "./proofcheck"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(image(ctx, filepath.Join(dir, "initramfs"), folder, filepath.Join(programs, "guest"), rig.Program(t, "interlock-agent")), disk(ctx, filepath.Join(dir, "state.img"), program)); err != nil {
		t.Fatal(err)
	}
	l := &loop{peer: peer(t), bmc: startBMC(t, dir), checker: filepath.Join(programs, "proofcheck")}
	agents := rig.Address(t)
	l.m = start(t, dir, folder, wiring{server: agents, peer: l.peer.Addr().String(), bmc: l.bmc.serial})
	fmt.Printf("hil: built and booting after %s\n", time.Since(began).Round(time.Millisecond))
	l.s = newServer(t, dir, agents) // while the machine boots
	return l
}

// hailed is what the peer says to whoever reaches it.
const hailed = "the world outside"

// peer is a place other than the server that the device can reach while it is
// not in quarantine.
func peer(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, hailed)
			_ = c.Close()
		}
	}()
	return l
}

func (l *loop) booted(ctx context.Context) (string, error) {
	err := l.m.up(ctx)
	h := l.m.hello
	return fmt.Sprintf("Linux %s, %d modules, state on %s, %d ms after its kernel started", h.Kernel, h.Modules, h.DiskFS, h.UpMS), err
}

func (l *loop) tpmPresent(context.Context) (string, error) {
	if !slices.Contains(l.m.hello.TPM, "/dev/tpmrm0") {
		return "", fmt.Errorf("no /dev/tpmrm0; the kernel made %q", l.m.hello.TPM)
	}
	return strings.Join(l.m.hello.TPM, ", "), nil
}

// agentConfig is the device's: real sensors, a real firewall.
func (l *loop) agentConfig(list []sense) (string, error) {
	trust, err := ceremony.LoadTrust(l.s.Keys)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf(`data_dir: %s
run_dir: %s
device: %s
root_hash: %s
enforce: nftables
heartbeat: 1s
sensors:
`, control.DataDir, control.RunDir, device, trust.Hash())
	l.sensors = l.sensors[:0]
	for _, s := range list {
		text += "  - id: " + s.id + "\n    " + strings.ReplaceAll(strings.TrimSpace(s.config), "\n", "\n    ") + "\n"
		l.sensors = append(l.sensors, s.id)
	}
	return text, nil
}

// configure writes the agent's configuration; it counts from the agent's next start.
func (l *loop) configure(ctx context.Context, list []sense) error {
	text, err := l.agentConfig(list)
	if err != nil {
		return err
	}
	return l.m.do(ctx, "file.write", control.File{Path: control.AgentConfig, Text: text}, nil)
}

// enrolled brings the device in as its owner would: the token names its key.
func (l *loop) enrolled(ctx context.Context) (string, error) {
	if err := await(ctx, l.healthy(ctx)); err != nil {
		return "", err
	}
	if err := errors.Join(l.hardware(ctx), l.configure(ctx, guard)); err != nil {
		return "", err
	}
	var fact control.File
	if err := l.m.do(ctx, "agent.key", nil, &fact); err != nil {
		return "", err
	}
	out, err := l.s.run(ctx, "--json", "token", "create", "--device", device.String(), "--key", fact.Text)
	if err != nil {
		return "", err
	}
	var token api.Token
	if err := decode(out, &token); err != nil {
		return "", err
	}
	if err := l.m.do(ctx, "agent.start", control.Start{Enrolment: token.String}, nil); err != nil {
		return "", err
	}
	d, err := l.awaitDevice(ctx, func(d api.Device) error {
		for _, id := range l.sensors {
			if d.State != core.DeviceOnline || d.Sensors[id] != string(core.SensorOK) || d.FirstUse {
				return fmt.Errorf("it is %s, first use %v, sensors %v", d.State, d.FirstUse, d.Sensors)
			}
		}
		return nil
	})
	return fmt.Sprintf("%s, key %s named by its token, sensors %v", d.ID, d.ShortCode, d.Sensors), err
}

// hardware brings the simulated chips to life.
func (l *loop) hardware(ctx context.Context) error {
	return errors.Join(l.m.do(ctx, "gpio.make", nil, nil), l.m.do(ctx, "chip.make", control.Listing{Names: []string{"adm9240"}}, nil))
}

func (l *loop) healthy(ctx context.Context) func() error {
	return func() error {
		st, err := get[api.Status](ctx, l.s, "/v1/status")
		if err == nil && st.Health != core.HealthHealthy {
			err = fmt.Errorf("the server is %s: %v", st.Health, st.Parts)
		}
		if err == nil && st.Mode != "quorum" {
			err = fmt.Errorf("the server's mode is %s", st.Mode)
		}
		return err
	}
}

// awaitDevice waits until the server's picture of the device is as wanted.
func (l *loop) awaitDevice(ctx context.Context, want func(api.Device) error) (api.Device, error) {
	var d api.Device
	err := await(ctx, func() (err error) {
		if d, err = get[api.Device](ctx, l.s, "/v1/devices/"+device.String()); err != nil {
			return err
		}
		return want(d)
	})
	return d, err
}

// awaitEvents waits until the journal has these types, in this order, among the
// events that are newer than the present check, and returns them.
func (l *loop) awaitEvents(ctx context.Context, types ...string) ([]core.Event, error) {
	var found []core.Event
	err := await(ctx, func() error {
		list, err := l.s.events(ctx)
		if err != nil {
			return err
		}
		found = found[:0]
		var got []string
		for _, e := range list {
			if e.Sequence <= l.seen {
				continue
			}
			got = append(got, e.Type)
			if len(found) < len(types) && e.Type == types[len(found)] {
				found = append(found, e)
			}
		}
		if len(found) < len(types) {
			return fmt.Errorf("no %s; the device said %v", types[len(found)], got)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, e := range found {
		if e.Provenance != core.ProvenanceDevice || e.Simulated {
			return nil, fmt.Errorf("%s is %s, simulated %v", e.Type, e.Provenance, e.Simulated)
		}
	}
	return found, nil
}

// walled: the guest's world is the two ports that were given to it.
func (l *loop) walled(ctx context.Context) (string, error) {
	if err := l.reaches(ctx, rig.Patience); err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.peer.Addr().String())
	if err != nil {
		return "", err
	}
	var said control.Dialled
	if err := l.m.do(ctx, "dial", control.Dial{Address: net.JoinHostPort(control.GuestGateway, port), WaitMS: shut.Milliseconds()}, &said); err == nil {
		return "", fmt.Errorf("the host's loopback answers at port %s: %q", port, said.Said)
	}
	return "the way by QEMU's gateway to this host is closed", nil
}

// shut is how long the guest tries a way that must be closed.
const shut = 3 * time.Second

// reaches returns nil if the guest reaches its peer.
func (l *loop) reaches(ctx context.Context, patience time.Duration) error {
	var said control.Dialled
	err := l.m.do(ctx, "dial", control.Dial{Address: net.JoinHostPort(control.GuestPeer, "7"), WaitMS: patience.Milliseconds()}, &said)
	if err == nil && said.Said != hailed {
		err = fmt.Errorf("the peer said %q", said.Said)
	}
	return err
}

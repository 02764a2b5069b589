package hil

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/link/ceremony"
	"github.com/interlock-security/interlock/platform/config"
	"github.com/interlock-security/interlock/test/hil/control"
)

var device = core.MustID[core.DeviceID]("press-7")

// loop is one run: the server here, the device in the machine, and what earlier
// checks found out.
type loop struct {
	s      *server
	m      *machine
	peer   net.Listener
	checks int
	seen   uint64 // sequence of the newest event before the present check
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
		{"the network cable is pulled and put back", l.cable},
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
		t.Fatalf("%s: %v", name, err)
	}
	l.checks++
	fmt.Printf("ok   %s: %s … %s\n", name, detail, took)
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
	dir, err := os.MkdirTemp("", "il") // short: unix sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	programs := filepath.Join(dir, "bin")
	if err := build(ctx, programs, "../../cmd/interlock", "../../cmd/interlock-agent", "./guest"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(image(ctx, filepath.Join(dir, "initramfs"), folder, programs), disk(ctx, filepath.Join(dir, "state.img"))); err != nil {
		t.Fatal(err)
	}
	l := &loop{peer: peer(t)}
	agents := freePort(t)
	l.m = start(t, dir, folder, wiring{server: agents, peer: l.peer.Addr().String()})
	fmt.Printf("hil: built and booting after %s\n", time.Since(began).Round(time.Millisecond))
	l.s = newServer(t, dir, filepath.Join(programs, "interlock"), agents) // while the machine boots
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
func (l *loop) agentConfig() (string, error) {
	trust, err := ceremony.LoadTrust(l.s.keys())
	if err != nil {
		return "", err
	}
	cfg := agent.Default()
	cfg.DataDir, cfg.RunDir, cfg.Device = control.DataDir, control.RunDir, device.String()
	cfg.RootHash, cfg.Enforce, cfg.Heartbeat = trust.Hash(), agent.EnforceNFT, 2*time.Second
	cfg.Sensors = []agent.SensorConfig{{ID: "carrier", Driver: agent.DriverCarrier, Interfaces: []string{"eth0"}}, {ID: "usb", Driver: agent.DriverUSB}}
	var text bytes.Buffer
	err = config.Print(&text, &cfg)
	return text.String(), err
}

// enrolled brings the device in as its owner would: the token names its key.
func (l *loop) enrolled(ctx context.Context) (string, error) {
	if err := await(ctx, l.healthy(ctx)); err != nil {
		return "", err
	}
	text, err := l.agentConfig()
	if err != nil {
		return "", err
	}
	if err := l.m.do(ctx, "file.write", control.File{Path: control.AgentConfig, Text: text}, nil); err != nil {
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
		if d.State != core.DeviceOnline || d.Sensors["carrier"] != string(core.SensorOK) || d.FirstUse {
			return fmt.Errorf("it is %s, first use %v, sensors %v", d.State, d.FirstUse, d.Sensors)
		}
		return nil
	})
	return fmt.Sprintf("%s, key %s named by its token, sensors %v", d.ID, d.ShortCode, d.Sensors), err
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
	if err := l.reaches(ctx); err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.peer.Addr().String())
	if err != nil {
		return "", err
	}
	var said control.Dialled
	if err := l.m.do(ctx, "dial", control.Dial{Address: net.JoinHostPort(control.GuestGateway, port)}, &said); err == nil {
		return "", fmt.Errorf("the host's loopback answers at port %s: %q", port, said.Said)
	}
	return "the way by QEMU's gateway to this host is closed", nil
}

// reaches returns nil if the guest reaches its peer.
func (l *loop) reaches(ctx context.Context) error {
	var said control.Dialled
	err := l.m.do(ctx, "dial", control.Dial{Address: net.JoinHostPort(control.GuestPeer, "7")}, &said)
	if err == nil && said.Said != hailed {
		err = fmt.Errorf("the peer said %q", said.Said)
	}
	return err
}

// cable: what happens while the link is cut is told afterwards, in order.
func (l *loop) cable(ctx context.Context) (string, error) {
	if err := l.m.monitor(ctx, "set_link", map[string]any{"name": "nic0", "up": false}); err != nil {
		return "", err
	}
	err := await(ctx, func() error {
		st, err := l.local(ctx)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(st.Sensors, func(s localSensor) bool { return s.ID == "carrier" && len(s.Active) > 0 }); i < 0 {
			return fmt.Errorf("the device says of its sensors: %+v", st.Sensors)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if err := l.m.monitor(ctx, "set_link", map[string]any{"name": "nic0", "up": true}); err != nil {
		return "", err
	}
	found, err := l.awaitEvents(ctx, "carrier_down", "carrier_up")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("events %d and %d, device-signed, received when it was back", found[0].Sequence, found[1].Sequence), nil
}

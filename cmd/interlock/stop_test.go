package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/safety/stop"
)

// plant is a real stop path with two presses, at a data directory's socket.
type plant struct {
	data string
	hub  *stop.Hub
	*stop.Service
}

func target(device string) stop.Target {
	return stop.Target{Tenant: core.MustID[core.TenantID]("main"), Site: core.MustID[core.SiteID]("hall-2"), Device: core.MustID[core.DeviceID](device)}
}

func newPlant(t *testing.T) *plant {
	t.Helper()
	clock, log := clocktest.New(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)), slog.New(slog.DiscardHandler)
	ring := stop.NewMemoryRing(stop.RingOptions{Clock: clock, Log: log})
	p := &plant{data: t.TempDir(), hub: stop.NewHub(func(stop.Stop, stop.Target) ([]byte, error) { return []byte("order"), nil })}
	p.Service = stop.NewService(stop.Config{Ring: ring, Hub: p.hub, Clock: clock, Log: log})
	p.SetPersons([]stop.Person{{
		ID: core.MustID[core.PersonID]("owner"), Tenant: target("press-7").Tenant, Sites: []core.SiteID{target("press-7").Site}, UIDs: []uint32{uint32(os.Getuid())},
	}})
	p.SetTargets([]stop.Target{target("press-7"), target("press-8")})
	l, err := httpd.ListenUnix(app.Paths{Dir: p.data}.Stop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, ring.Close()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// connect makes a device answer every stop, as a running agent does.
func (p *plant) connect(t *testing.T, device string) {
	at := target(device)
	stream, done := p.hub.Subscribe(at), make(chan struct{})
	t.Cleanup(func() { close(done); stream.Close() })
	go func() {
		for {
			select {
			case <-done:
				return
			case <-stream.C():
			}
			orders, err := stream.Take()
			if err != nil {
				t.Error(err)
			}
			for _, o := range orders {
				p.Confirm(at.Tenant, at.Device, o.Stop.ID)
			}
		}
	}()
}

// interlock runs the command line against the plant.
func (p *plant) interlock(args ...string) (code int, out, errOut string) {
	var o, e bytes.Buffer
	code = run(context.Background(), append([]string{"--data", p.data}, args...), strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

func wantRun(t *testing.T, p *plant, code int, out []string, args ...string) string {
	t.Helper()
	got, stdout, stderr := p.interlock(args...)
	if got != code {
		t.Errorf("%v: exit code %d, want %d: %s%s", args, got, code, stdout, stderr)
	}
	for _, want := range out {
		if !strings.Contains(stdout+stderr, want) {
			t.Errorf("%v does not say %q:\n%s%s", args, want, stdout, stderr)
		}
	}
	return stdout
}

func TestStopNamesWhoHasNotConfirmed(t *testing.T) {
	p := newPlant(t)
	wantRun(t, p, 0, []string{"no stop is in force"}, "stop", "status")
	wantRun(t, p, 1, []string{"stop requested: site hall-2", "NOT CONFIRMED: 2 (press-7, press-8)", "Use the emergency stop there"},
		"stop", "--site", "hall-2", "--reason", "smoke \x1b[2J", "--wait", "0s")
	p.connect(t, "press-7")
	out := wantRun(t, p, 1, []string{"confirmed: 1 (press-7)", "NOT CONFIRMED: 1 (press-8)"}, "stop", "trip", "--site", "hall-2", "--wait", "500ms")
	if strings.Contains(out, "\x1b") {
		t.Errorf("an escape sequence came through: %q", out)
	}
	p.connect(t, "press-8")
	wantRun(t, p, 0, []string{"confirmed: 2 (press-7, press-8)"}, "stop", "--fleet", "--wait", "1m")
	wantRun(t, p, 1, []string{"site hall-2, by person/owner"}, "stop", "status")

	var answer stop.TripAnswer
	text := wantRun(t, p, 0, nil, "stop", "--device", "press-8", "--wait", "1m", "--json")
	if err := json.Unmarshal([]byte(text), &answer); err != nil || len(answer.Stops) != 1 || len(answer.Stops[0].Confirmed) != 1 || !answer.Recorded {
		t.Errorf("%v, %s", err, text)
	}
}

func TestAStopThatIsRefusedSaysSo(t *testing.T) {
	p := newPlant(t)
	wantRun(t, p, 2, []string{"NO STOP WAS REQUESTED", "may not stop on site nowhere", "next: use the emergency stop on the machine"}, "stop", "--site", "nowhere")
	wantRun(t, p, 2, []string{"NO STOP WAS REQUESTED", "no device press-9 is known here", "name its site too"}, "stop", "--device", "press-9")
	if n := len(p.hub.Active()); n > 0 {
		t.Errorf("%d stops are active", n)
	}
	wantRun(t, p, 1, []string{"stop requested: device press-9"}, "stop", "--device", "press-9", "--site", "hall-2", "--wait", "0s")
}

// A server that dies with the request in its hands leaves nobody knowing.
func TestAStopWithoutAnAnswerIsUncertain(t *testing.T) {
	dead := &plant{data: t.TempDir()}
	l, err := httpd.ListenUnix(app.Paths{Dir: dead.data}.Stop())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = io.ReadFull(c, make([]byte, 64))
			err = errors.Join(err, c.Close())
		}
		ended <- err
	}()
	wantRun(t, dead, 2, []string{"NOBODY KNOWS WHETHER THE STOP WAS REQUESTED", "use the emergency stop"}, "stop", "--fleet")
	if err := errors.Join(<-ended, l.Close()); err != nil {
		t.Error(err)
	}
}

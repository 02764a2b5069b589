package collect_test

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/siem/collect"
)

func TestEventIDsComeFromThePlace(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123)
	a, b := collect.EventID(at, "x"), collect.EventID(at, "x")
	if a != b || a == collect.EventID(at, "y") || !a.Time().Equal(at) {
		t.Errorf("%s %s", a, b)
	}
	if _, err := core.ParseUUID(a.String()); err != nil {
		t.Error(err)
	}
}

func TestTypesArePlainWords(t *testing.T) {
	for in, want := range map[string]string{"sshd": "sshd", "sshd-session": "sshd-session", "": "log", "a b": "log", "../x": "log", "x\n": "log", strings.Repeat("x", 49): "log"} {
		if got := collect.TypeOf(in); got != want {
			t.Errorf("TypeOf(%q) = %q", in, got)
		}
	}
}

func TestLossIsAnEventOfTheCollectorItself(t *testing.T) {
	o := collect.Origin{Tenant: core.MustID[core.TenantID]("a"), Source: "syslog", Provenance: core.ProvenanceUnauthenticated}
	b, err := o.Loss(time.Unix(1, 0), 7, "why")
	var e core.Event
	if err = errors.Join(err, json.Unmarshal(b, &e)); err != nil || e.Type != collect.TypeLoss || e.Provenance != core.ProvenanceLocal || !strings.Contains(string(e.Fields), `"lost":7`) {
		t.Errorf("%v %+v", err, e)
	}
}

// flaky refuses a number of frames.
type flaky struct{ left int }

func (f *flaky) Append(context.Context, ...journal.Frame) ([]journal.Appended, error) {
	if f.left--; f.left >= 0 {
		return nil, errors.New("full")
	}
	return make([]journal.Appended, 1), nil
}

func TestDeliverNeverGivesAFrameUp(t *testing.T) {
	clock := clocktest.New(time.Unix(0, 0))
	refused := make(chan error, 10)
	done := make(chan error, 1)
	go func() {
		done <- collect.Deliver(context.Background(), clock, collect.Journal(&flaky{5}), journal.Frame{}, func(err error) { refused <- err })
	}()
	for range 5 {
		<-refused
		for clock.Waiters() == 0 {
			runtime.Gosched()
		}
		clock.Advance(time.Minute)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := collect.Deliver(ctx, clock, collect.Journal(&flaky{1}), journal.Frame{}, func(error) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

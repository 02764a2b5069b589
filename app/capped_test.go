package app

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
)

// Whoever reaches the cap is an alarm once an hour, and again where the first
// one could not be raised.
func TestTheCapIsAnAlarm(t *testing.T) {
	clock, c := clocktest.New(time.Unix(1e9, 0)), make(caps, 16)
	raised := make(chan string)
	fail := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- c.run(ctx, clock, slog.New(slog.DiscardHandler), func(_ context.Context, who core.Principal, _ core.Action, _ core.Resource) error {
			select {
			case err := <-fail:
				return err
			default:
				raised <- who.ID
				return nil
			}
		})
	}()
	person := func(id string) core.Principal { return core.Principal{Kind: core.KindPerson, ID: id} }
	fail <- errors.New("the database is away")
	for _, id := range []string{"anna", "anna", "anna", "ben"} {
		c.tell(person(id), "device.quarantine", core.Resource{})
	}
	for _, want := range []string{"anna", "ben"} {
		if got := <-raised; got != want {
			t.Errorf("alarm about %s, want %s", got, want)
		}
	}
	clock.Advance(cappedEvery)
	c.tell(person("anna"), "device.quarantine", core.Resource{})
	if got := <-raised; got != "anna" {
		t.Errorf("alarm about %s", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for range 100 { // nobody reads any more, and nobody waits
		c.tell(person("anna"), "device.quarantine", core.Resource{})
	}
}

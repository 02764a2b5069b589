package detect_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/siem/alert"
	"github.com/interlock-security/interlock/siem/collect/file"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/test/sshdtest"
)

// caught hands frames to the test.
type caught chan journal.Frame

func (c caught) Append(_ context.Context, f journal.Frame) error {
	c <- f
	return nil
}

// TestRealSSHD attacks a real OpenSSH server with the real client: nine accounts
// give nothing, the tenth gives exactly one alert, and ten tries on one account
// are the other rule.
func TestRealSSHD(t *testing.T) {
	srv := sshdtest.Start(t)
	frames := make(caught, 1000)
	c, err := file.New(file.Config{Tenant: tenant, Path: srv.Log, Checkpoints: t.TempDir(), FromStart: true, Clock: core.SystemClock{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, frames) }()
	defer func() { cancel(); <-done }()

	p := newPipe(t, storetest.Open(t, storetest.Config(t, "sqlite"), alert.Migrations(), detect.Migrations()), 1)
	failed := 0
	attack := func(user string) {
		srv.FailLogin(t, user)
		failed++
		p.feedUntil(frames, failed)
	}
	for i := range 9 {
		attack(fmt.Sprint("nobody", i))
	}
	if all := p.alerts(); len(all) != 0 {
		t.Fatalf("nine accounts: %+v", all)
	}
	attack("root")
	if all := p.alerts(); len(all) != 1 || all[0].Rule.Name != "sshd-credential-stuffing" || all[0].Count != 10 || all[0].Group["src_endpoint.ip"] != "127.0.0.1" {
		t.Fatalf("ten accounts: %+v", all)
	}
	for range 9 {
		attack("root")
	}
	all := p.alerts()
	if len(all) != 2 || all[0].Rule.Name != "sshd-bruteforce-one-account" && all[1].Rule.Name != "sshd-bruteforce-one-account" {
		t.Errorf("ten times root: %+v", all)
	}
}

// feedUntil feeds what the collector brings until the detector has matched so
// many guesses ("Failed password"); echoes come along.
func (p *pipe) feedUntil(frames caught, guesses int) {
	p.t.Helper()
	limit := time.After(3 * time.Minute)
	for p.guesses < guesses {
		select {
		case f := <-frames:
			p.guesses += guessesIn(f)
			p.feed(f)
		case <-limit:
			p.t.Fatalf("%d of %d failed logins came", p.guesses, guesses)
		}
	}
}

func guessesIn(f journal.Frame) (n int) {
	for _, r := range f.Records {
		if bytes.Contains(r, []byte(`"message":"Failed password for `)) {
			n++
		}
	}
	return n
}

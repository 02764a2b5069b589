package fleet_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
)

// rawIn opens the real journal in a folder.
func rawIn(t *testing.T, dir string) *journal.Raw {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Driver: "sqlite", Path: filepath.Join(dir, "journal.db"), Key: core.NewSecret(make([]byte, 32))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), journal.RawMigrations()); err != nil {
		t.Fatal(err)
	}
	raw, err := journal.OpenRaw(t.Context(), db, journal.RawOptions{Clock: clocktest.New(start)})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestTheFoldRunsOnTheRealJournal takes batches, a resend and a fork through
// the journal itself and runs the stage as the server does.
func TestTheFoldRunsOnTheRealJournal(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.must(r.db.Migrate(t.Context(), journal.Migrations()))
		raw := rawIn(t, t.TempDir())
		parts := r.parts()
		parts.Intake = fleet.NewIntake(raw, r.log, r.clock, 1, r.warn)
		var err error
		r.door, err = fleet.NewListener(parts)
		r.must(err)
		a := r.enrolled(r.serve(), "press-7")
		a.send()
		yesterday := *a
		body, _ := a.seal(a.batch())
		if first, again := a.receipt(body), a.receipt(body); first.Fork || again.Fork {
			t.Error("a resend is called a fork")
		}
		if !yesterday.send(link.DeviceEvent{Type: "another"}).Fork {
			t.Error("a fork is not")
		}
		handled := make(chan struct{}, 100)
		stage := r.fold.Stage(raw, 0)
		inner := stage.Handle
		stage.Handle = func(ctx context.Context, tx *store.Tx, f journal.Frame) error {
			tx.OnCommit(func() { handled <- struct{}{} })
			return inner(ctx, tx, f)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- journal.Run(ctx, r.db, stage) }()
		for range 3 {
			<-handled
		}
		cancel()
		<-done
		if n, err := r.reg.SendAlarms(t.Context(), r.raw, 1); err != nil || n != 1 || len(r.raw.events(t, fleet.AlarmFork)) != 1 {
			t.Errorf("%d alarms, %v", n, err)
		}
		if d := r.device("press-7"); d.Known.Sequence != 2 || d.Known.Hash != a.prev {
			t.Errorf("known %+v", d.Known)
		}
	})
}

const childDir = "INTERLOCK_TEST_INTAKE_DIR"

// TestKilledIntake kills a server between any two instructions. Every batch
// whose receipt was given is in the journal, once; the one under way gets its
// receipt on the resend and is there once too.
func TestKilledIntake(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		intakeChild(t, dir)
		return
	}
	dir := t.TempDir()
	sent, acked := map[string][]byte{}, map[string]bool{}
	for round := range 3 {
		runChild(t, dir, 20+7*round, sent, acked)
	}
	raw := rawIn(t, dir)
	key := readKey(t, dir)
	in := fleet.NewIntake(raw, newMemoryLog(t), clocktest.New(start), 1, slog.New(slog.DiscardHandler))
	for hash, body := range sent {
		rec, err := in.Take(t.Context(), childDevice, key.Public(), body)
		if err != nil || rec.Fork || rec.Batch != hash {
			t.Errorf("resend of %s: %+v, %v", hash, rec, err)
		}
	}
	frames, err := raw.Read(t.Context(), 0, 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	stored := map[string]int{}
	for _, f := range frames {
		stored[hex.EncodeToString(f.Key.Hash[:])]++
	}
	for hash := range sent {
		if stored[hash] != 1 {
			t.Errorf("batch %s is there %d times (acknowledged: %v)", hash, stored[hash], acked[hash])
		}
	}
	if len(acked) < 3 || len(stored) != len(sent) {
		t.Errorf("%d acknowledged, %d stored, %d sent", len(acked), len(stored), len(sent))
	}
}

var childDevice = fleet.Device{Tenant: tenant, ID: core.MustID[core.DeviceID]("press-7"), Site: site}

// runChild starts the server, lets it acknowledge n batches and kills it.
func runChild(t *testing.T, dir string, n int, sent map[string][]byte, acked map[string]bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledIntake$")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for acks := 0; ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // the pipe holds what was said before the kill
		}
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "sent":
			hash, text, _ := strings.Cut(rest, " ")
			if sent[hash], err = base64.StdEncoding.DecodeString(text); err != nil {
				t.Fatal(err)
			}
		case "acked":
			acked[rest] = true
			if acks++; acks == n {
				_ = cmd.Process.Kill()
			}
		}
	}
	_ = cmd.Wait()
}

func readKey(t *testing.T, dir string) *ecdsa.PrivateKey {
	t.Helper()
	path := filepath.Join(dir, "device.key")
	der, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if der, err = x509.MarshalECPrivateKey(key); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, der, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key, err := x509.ParseECPrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// intakeChild takes batches of a fresh epoch until it is killed, and says on
// standard output what it is about to take and what it acknowledged.
func intakeChild(t *testing.T, dir string) {
	key := readKey(t, dir)
	clock := clocktest.New(start)
	in := fleet.NewIntake(rawIn(t, dir), newMemoryLog(t), clock, 1, slog.New(slog.DiscardHandler))
	a := &agent{r: &rig{t: t, clock: clock}, id: childDevice.ID, key: key, epoch: hex.EncodeToString(random(16))}
	for {
		body, payload := a.seal(a.batch())
		hash := link.BatchHash(payload)
		say("sent %x %s\n", hash, base64.StdEncoding.EncodeToString(body))
		rec, err := in.Take(t.Context(), childDevice, key.Public(), body)
		if err != nil {
			t.Fatal(err)
		}
		say("acked %s\n", rec.Batch)
	}
}

func say(format string, args ...any) { _, _ = fmt.Fprintf(os.Stdout, format, args...) }

package keystore_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/internal/devicetest"
	"github.com/interlock-security/interlock/device/keystore"
	"github.com/interlock-security/interlock/digital/crypt"
)

// body is what an agent might keep.
type body struct {
	N     int      `json:"n"`
	Names []string `json:"names"`
}

var start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// box is a place for a state; every Open is a restart of the agent.
type box struct {
	t       *testing.T
	o       keystore.Options
	boot    string
	elapsed time.Duration
}

func newBox(t *testing.T) *box {
	t.Helper()
	sealer, err := crypt.OpenHost(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &box{t: t, boot: "0c8d5a34-0000-4000-8000-000000000001"}
	b.o = keystore.Options{
		Dir: filepath.Join(t.TempDir(), "state"), RunDir: t.TempDir(), Sealer: sealer, Clock: clocktest.New(start), Built: start,
		BootID: func() (string, error) { return b.boot, nil }, Elapsed: func() time.Duration { return b.elapsed },
	}
	return b
}

func (b *box) open() *keystore.Store[body] {
	b.t.Helper()
	s, err := keystore.Open[body](b.o)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *box) path() string { return filepath.Join(b.o.Dir, "state") }

func (b *box) read() []byte {
	b.t.Helper()
	raw, err := os.ReadFile(b.path())
	if err != nil {
		b.t.Fatal(err)
	}
	return raw
}

func set(t *testing.T, s *keystore.Store[body], n int) {
	t.Helper()
	if err := s.Update(func(b *body) error { b.N = n; return nil }); err != nil {
		t.Fatal(err)
	}
}

func value(s *keystore.Store[body]) (n int) {
	s.View(func(_ keystore.Continuity, b *body) { n = b.N })
	return n
}

func TestARestartKeepsTheEpochAndTheCounterRises(t *testing.T) {
	b := newBox(t)
	s := b.open()
	if o := s.Opening(); !o.Fresh || !o.NewEpoch {
		t.Errorf("first opening %+v", o)
	}
	set(t, s, 7)
	before := s.Continuity()
	again := b.open()
	if o := again.Opening(); o.NewEpoch || o.Fresh || o.NewBoot {
		t.Errorf("second opening %+v", o)
	}
	after := again.Continuity()
	if value(again) != 7 || after.Epoch != before.Epoch || after.Counter <= before.Counter || len(after.Epoch) != 32 {
		t.Errorf("before %+v, after %+v, value %d", before, after, value(again))
	}
	b.boot = "0c8d5a34-0000-4000-8000-000000000002"
	if o := b.open().Opening(); !o.NewBoot || o.NewEpoch {
		t.Errorf("after a restart of the machine %+v", o)
	}
}

func TestTheFileIsPrivateAndSealed(t *testing.T) {
	b := newBox(t)
	s := b.open()
	if err := s.Update(func(x *body) error { x.Names = []string{"canary-4711"}; return nil }); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(b.path())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if bytes.Contains(b.read(), []byte("canary")) {
		t.Error("the state lies in the clear")
	}
}

func TestAnOldStatePutBackBeginsANewEpoch(t *testing.T) {
	t.Run("while the machine runs", func(t *testing.T) {
		b := newBox(t)
		s := b.open()
		old := b.read()
		set(t, s, 1)
		if err := os.WriteFile(b.path(), old, 0o600); err != nil {
			t.Fatal(err)
		}
		again := b.open()
		if o := again.Opening(); !o.NewEpoch || again.Continuity().Epoch == s.Continuity().Epoch {
			t.Errorf("opening %+v", o)
		}
	})
	t.Run("from a copy, after a restart of the machine", func(t *testing.T) {
		b := newBox(t)
		epoch := b.open().Continuity().Epoch
		b.rewrite(time.Now().Add(-time.Hour))
		b.boot, b.o.RunDir = "0c8d5a34-0000-4000-8000-000000000002", t.TempDir()
		again := b.open()
		if o := again.Opening(); !o.NewEpoch || !strings.Contains(o.Reason, "put in place") || again.Continuity().Epoch == epoch {
			t.Errorf("opening %+v", o)
		}
	})
}

// rewrite makes the state claim an earlier time of writing, as a copy that was
// put back does.
func (b *box) rewrite(written time.Time) {
	b.t.Helper()
	plain, err := b.o.Sealer.Open(b.read(), "device/state")
	if err != nil {
		b.t.Fatal(err)
	}
	i := bytes.Index(plain, []byte(`"written":`))
	plain = append(plain[:i], append(fmt.Appendf(nil, `"written":%d`, written.UnixMicro()), plain[i+len(`"written":1764547200000000`):]...)...)
	sealed, err := b.o.Sealer.Seal(plain, "device/state")
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(b.path(), sealed, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func TestDamageIsToldKeptAndNeverFatal(t *testing.T) {
	rows := map[string]func(b *box){
		"flipped bit": func(b *box) {
			raw := b.read()
			raw[len(raw)/2] ^= 1
			_ = os.WriteFile(b.path(), raw, 0o600)
		},
		"truncated":          func(b *box) { _ = os.WriteFile(b.path(), b.read()[:20], 0o600) },
		"empty":              func(b *box) { _ = os.WriteFile(b.path(), nil, 0o600) },
		"readable by others": func(b *box) { _ = os.Chmod(b.path(), 0o644) },
		"huge":               func(b *box) { _ = os.WriteFile(b.path(), make([]byte, 5<<20), 0o600) },
	}
	for name, harm := range rows {
		b := newBox(t)
		s := b.open()
		set(t, s, 9)
		harm(b)
		again := b.open()
		o := again.Opening()
		if !o.Damaged || !o.NewEpoch || value(again) != 0 || again.Continuity().Epoch == s.Continuity().Epoch {
			t.Errorf("%s: opening %+v, value %d", name, o, value(again))
		}
		if _, err := os.Stat(o.Aside); err != nil {
			t.Errorf("%s: the damaged state was not kept: %v", name, err)
		}
	}
}

func TestAFailedUpdateChangesNothing(t *testing.T) {
	b := newBox(t)
	s := b.open()
	if err := s.Update(func(x *body) error { x.N, x.Names = 1, []string{"a"}; return nil }); err != nil {
		t.Fatal(err)
	}
	before := s.Continuity()
	stop := errors.New("no")
	err := s.Update(func(x *body) error { x.N, x.Names[0] = 2, "b"; return stop })
	if !errors.Is(err, stop) {
		t.Errorf("Update: %v", err)
	}
	if err := os.Chmod(b.o.Dir, 0o500); err != nil {
		t.Fatal(err)
	}
	_ = os.RemoveAll(b.o.Dir)
	if err := s.Update(func(x *body) error { x.N = 3; return nil }); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("Update without a folder: %v", err)
	}
	if err := s.NewEpoch("x"); err == nil {
		t.Error("NewEpoch without a folder succeeded")
	}
	s.View(func(c keystore.Continuity, x *body) {
		if c != before || x.N != 1 || x.Names[0] != "a" {
			t.Errorf("state %+v %+v", c, x)
		}
	})
}

func TestTrustedTimeNeverGoesBackAndIgnoresTheWallClock(t *testing.T) {
	b := newBox(t)
	clock := b.o.Clock.(*clocktest.Clock)
	s := b.open()
	last := s.Time().Lower
	if !last.Equal(start) {
		t.Errorf("a fresh device trusts %s, built %s", last, start)
	}
	for i, wall := range []time.Time{time.Unix(0, 0), start.AddDate(10, 0, 0), start.AddDate(-10, 0, 0), {}, start.AddDate(12, 0, 0)} {
		clock.Set(wall)
		b.elapsed += time.Minute
		if i == 2 {
			s.Observe(start.Add(24 * time.Hour))
			s.Observe(start.Add(-24 * time.Hour))
		}
		now := s.Time().Lower
		if now.Before(last) || now.After(start.Add(25*time.Hour)) || !s.Time().Upper.IsZero() {
			t.Errorf("wall clock %s: trusted time %s after %s", wall, now, last)
		}
		last = now
		set(t, s, i)
	}
	b.elapsed = 0 // a restart of the machine
	if again := b.open().Time().Lower; again.Before(last) {
		t.Errorf("after a restart %s, before %s", again, last)
	}
}

func TestOnAFullDiskTheStateIsStillKept(t *testing.T) {
	devicetest.NeedsRoot(t, "a small disk")
	b := newBox(t)
	if err := os.MkdirAll(b.o.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", b.o.Dir, "tmpfs", 0, "size=1m"); err != nil {
		devicetest.Without(t, "a small disk: "+err.Error())
	}
	t.Cleanup(func() { _ = syscall.Unmount(b.o.Dir, syscall.MNT_DETACH) })
	s := b.open()
	filler, err := os.Create(filepath.Join(b.o.Dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
	_ = filler.Close()
	for n := range 20 {
		set(t, s, n+1)
	}
	if err := os.Remove(filler.Name()); err != nil {
		t.Fatal(err)
	}
	set(t, s, 99)
	if again := b.open(); value(again) != 99 || again.Opening().NewEpoch {
		t.Errorf("value %d, opening %+v", value(again), again.Opening())
	}
}

func TestTheUpperBoundNeedsTwoClocksThatAgreeAndRunsOut(t *testing.T) {
	b := newBox(t)
	s := b.open()
	now := start.Add(time.Hour)
	refused := map[string][2]time.Time{
		"the machine's clock is lost":        {now, time.Unix(0, 0)},
		"the server is a day behind":         {now.AddDate(0, 0, -1), now},
		"both are before the build":          {start.AddDate(0, 0, -2), start.AddDate(0, 0, -2)},
		"the machine's clock is a day ahead": {now, now.AddDate(0, 0, 1)},
	}
	for name, w := range refused {
		if s.Heard(w[0], w[1]); !s.Time().Upper.IsZero() {
			t.Errorf("%s, and time is bounded by %s", name, s.Time().Upper)
		}
	}
	s.Heard(now, now.Add(time.Minute))
	first := s.Time().Upper
	if first.Before(now.Add(time.Minute)) || first.After(now.Add(2*time.Minute)) {
		t.Errorf("bounded by %s, it is %s", first, now)
	}
	// Both clocks go back together: the bound that was proven stays.
	b.elapsed += 2 * time.Hour
	s.Heard(now.Add(-30*time.Minute), now.Add(-30*time.Minute))
	if got := s.Time().Upper; got.Before(first.Add(2 * time.Hour)) {
		t.Errorf("set back from %s to %s", first, got)
	}
	b.elapsed += 25 * time.Hour
	if got := s.Time().Upper; !got.IsZero() {
		t.Errorf("a day later still bounded by %s", got)
	}
	s.Heard(now.Add(27*time.Hour), now.Add(27*time.Hour))
	if again := b.open(); !again.Time().Upper.IsZero() {
		t.Error("the bound survives a restart of the agent")
	}
}

func TestLookingAtTheStateDoesNotWaitForTheDisk(t *testing.T) {
	b := newBox(t)
	s := b.open()
	stalled, release := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- s.Update(func(x *body) error {
			close(stalled)
			<-release
			x.N = 5
			return nil
		})
	}()
	<-stalled
	if value(s) != 0 || s.Continuity().Epoch == "" || s.Time().Lower.IsZero() {
		t.Error("the state is not what it was")
	}
	close(release)
	if err := <-done; err != nil || value(s) != 5 {
		t.Errorf("Update: %v, value %d", err, value(s))
	}
}

func TestTheManagementKey(t *testing.T) {
	dir := t.TempDir()
	sealer, err := crypt.OpenHost(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keystore.OpenKey(dir, sealer); core.KindOf(err) != core.KindNotFound {
		t.Errorf("no key: %v", err)
	}
	made, err := keystore.CreateKey(dir, sealer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keystore.CreateKey(dir, sealer); core.KindOf(err) != core.KindConflict {
		t.Errorf("a second key: %v", err)
	}
	read, err := keystore.OpenKey(dir, sealer)
	if err != nil {
		t.Fatal(err)
	}
	if read.Protection() != keystore.ProtectionSoftware || fmt.Sprint(read.Public()) != fmt.Sprint(made.Public()) {
		t.Error("the key that was read is another")
	}
	digest := sha256.Sum256([]byte("x"))
	sig, err := read.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil || !ecdsa.VerifyASN1(made.Public().(*ecdsa.PublicKey), digest[:], sig) {
		t.Errorf("the key that was read signs otherwise: %v", err)
	}
	path := filepath.Join(dir, "management.key")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file %v %v", info, err)
	}
	other, err := crypt.OpenHost(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keystore.OpenKey(dir, other); core.KindOf(err) != core.KindDamaged {
		t.Errorf("on another host: %v", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := keystore.OpenKey(dir, sealer); core.KindOf(err) != core.KindDamaged {
		t.Errorf("readable by the group: %v", err)
	}
}

// TestKilledAtAnyWrite runs a child that counts up and prints each number once
// it is durable, kills it, and expects the state to hold the last one printed
// or the one after, in one epoch.
func TestKilledAtAnyWrite(t *testing.T) {
	if dir := os.Getenv("INTERLOCK_KEYSTORE_CHILD"); dir != "" {
		child(t, dir)
		return
	}
	dir := t.TempDir()
	epoch, last := "", 0
	for round := range 6 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledAtAnyWrite$")
		cmd.Env = append(os.Environ(), "INTERLOCK_KEYSTORE_CHILD="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for range 10 + 7*round {
			var n int
			var e string
			if _, err := fmt.Fscanln(out, &n, &e); err != nil {
				t.Fatal(err)
			}
			if epoch == "" {
				epoch = e
			}
			if n < last || n > last+1 || e != epoch {
				t.Fatalf("round %d: %d after %d, epoch %s after %s", round, n, last, e, epoch)
			}
			last = n
		}
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		// What it made durable without being read counts too.
		for {
			var n int
			var e string
			if _, err := fmt.Fscanln(out, &n, &e); err != nil {
				break
			}
			last = n
		}
		_ = cmd.Wait()
	}
}

func child(t *testing.T, dir string) {
	sealer, err := crypt.OpenHost(filepath.Join(dir, "host"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := keystore.Open[body](keystore.Options{Dir: filepath.Join(dir, "state"), Sealer: sealer, Clock: core.SystemClock{}, Built: start})
	if err != nil {
		t.Fatal(err)
	}
	for {
		_, _ = fmt.Fprintln(os.Stdout, value(s), s.Continuity().Epoch)
		if err := s.Update(func(b *body) error { b.N++; return nil }); err != nil {
			t.Fatal(err)
		}
	}
}

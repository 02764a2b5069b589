package spool_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/internal/devicetest"
	"github.com/interlock-security/interlock/device/spool"
	"github.com/interlock-security/interlock/link"
)

const epochOne = "00112233445566778899aabbccddeeff"

// rig is a spool and the server that takes its batches.
type rig struct {
	t     testing.TB
	site  *devicetest.Site
	trust *link.Trust
	epoch string
	o     spool.Options
	*spool.Spool
	hash  map[string][32]byte // per epoch
	last  map[string]uint64
	taken []link.DeviceEvent
}

func newRig(t testing.TB, change ...func(*spool.Options)) *rig {
	t.Helper()
	site := devicetest.New(t, link.ModeQuorum, "127.0.0.1:8443")
	r := &rig{t: t, site: site, trust: site.Trust(), epoch: epochOne, hash: map[string][32]byte{}, last: map[string]uint64{}}
	r.o = options(t.TempDir(), deviceKey(t), func() string { return r.epoch })
	for _, f := range change {
		f(&r.o)
	}
	r.reopen()
	t.Cleanup(func() {
		if r.Spool != nil {
			_ = r.Close()
		}
	})
	return r
}

func deviceKey(t testing.TB) link.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := link.NewCryptoSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func options(dir string, key link.Signer, epoch func() string) spool.Options {
	return spool.Options{
		Dir: dir, Clock: clocktest.New(time.Unix(1_700_000_000, 0)),
		Header: func() spool.Header {
			return spool.Header{Tenant: devicetest.Tenant, Device: devicetest.Device, Epoch: epoch(), Boot: "boot-1", StateCounter: 5, RootVersion: 1, Sent: 1}
		},
		Sign: func(payload []byte) (*link.Envelope, error) {
			return link.SealEnvelope(link.NamespaceBatch, payload, key)
		},
	}
}

func (r *rig) reopen() {
	r.t.Helper()
	if r.Spool != nil {
		r.must(r.Close())
	}
	s, err := spool.Open(r.o)
	r.must(err)
	r.Spool = s
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// event is one with a number of its own, so that order and loss can be seen.
func event(n int, kind string, sev core.Severity, pad int) link.DeviceEvent {
	return link.DeviceEvent{
		ID: core.NewUUID(time.UnixMilli(int64(n))), Time: int64(n), Type: kind, Class: core.ClassDeviceState, Severity: sev, Sensor: "lid",
		State: core.SensorOK, Fields: fmt.Appendf(nil, `{"n":%d,"pad":%q}`, n, strings.Repeat("x", pad)),
	}
}

func numberOf(t testing.TB, e link.DeviceEvent) int {
	t.Helper()
	var f struct{ N int }
	if err := json.Unmarshal(e.Fields, &f); err != nil {
		t.Fatal(err)
	}
	return f.N
}

// deliver sends one batch as the server would take it; false when there is none.
func (r *rig) deliver() bool {
	r.t.Helper()
	b, err := r.Next()
	r.must(err)
	if b == nil {
		return false
	}
	r.take(b)
	r.must(r.Receive(r.trust, r.site.Receipt(b.Payload)))
	return true
}

// take checks a batch as the server does: it follows the one before, in its
// epoch, without a gap.
func (r *rig) take(b *spool.Sealed) {
	r.t.Helper()
	env, err := link.ParseEnvelope(b.Envelope)
	r.must(err)
	batch, err := link.DecodeBatch(env.Payload)
	r.must(err)
	r.must(batch.Follows(batch.Epoch, r.last[batch.Epoch], r.hash[batch.Epoch]))
	if len(env.Payload) > link.MaxPayload {
		r.t.Fatalf("payload of %d bytes", len(env.Payload))
	}
	r.last[batch.Epoch], r.hash[batch.Epoch] = batch.Last, link.BatchHash(env.Payload)
	r.taken = append(r.taken, batch.Events...)
}

func (r *rig) drain() []link.DeviceEvent {
	r.t.Helper()
	for r.deliver() {
	}
	return r.taken
}

func TestEventsComeOutInOrderOnceAndWithoutAGap(t *testing.T) {
	r := newRig(t)
	n := 0
	for _, run := range []int{1, 700, 3, 0, 60} {
		var events []link.DeviceEvent
		for range run {
			n++
			events = append(events, event(n, "case_opened", core.SeverityHigh, n%900))
		}
		r.must(r.Append(events...))
		if run == 3 {
			r.deliver()
			r.reopen()
		}
	}
	got := r.drain()
	if len(got) != n {
		t.Fatalf("%d events, want %d", len(got), n)
	}
	for i, e := range got {
		if numberOf(t, e) != i+1 || e.Seq != uint64(i+1) {
			t.Fatalf("event %d is number %d, sequence %d", i, numberOf(t, e), e.Seq)
		}
	}
	r.reopen()
	if b, err := r.Next(); b != nil || err != nil {
		t.Errorf("after all receipts: %v, %v", b, err)
	}
	if st := r.Stats(); st.Waiting != 0 || st.Bytes != 0 || st.Sealed != 0 {
		t.Errorf("stats %+v", st)
	}
	r.must(r.Append(event(n+1, "case_opened", core.SeverityHigh, 0)))
	if got := r.drain(); got[len(got)-1].Seq != uint64(n+1) {
		t.Errorf("the sequence goes on at %d", got[len(got)-1].Seq)
	}
}

func TestTheVerySameBytesAreSentAgain(t *testing.T) {
	r := newRig(t)
	r.must(r.Append(event(1, "a", core.SeverityLow, 0)))
	first, err := r.Next()
	r.must(err)
	r.must(r.Append(event(2, "b", core.SeverityLow, 0)))
	for range 3 {
		r.reopen()
		again, err := r.Next()
		r.must(err)
		if string(again.Envelope) != string(first.Envelope) || string(again.Payload) != string(first.Payload) {
			t.Fatal("other bytes under the same numbers")
		}
	}
	if got := r.drain(); len(got) != 2 {
		t.Errorf("%d events", len(got))
	}
}

func TestNothingIsFreedWithoutAProof(t *testing.T) {
	r := newRig(t)
	r.must(r.Append(event(1, "a", core.SeverityLow, 0)))
	if err := r.Receive(r.trust, &link.Receipt{}); core.KindOf(err) != core.KindConflict {
		t.Errorf("a receipt before any batch: %v", err)
	}
	b, err := r.Next()
	r.must(err)
	other := devicetest.New(t, link.ModeQuorum, "127.0.0.1:8443")
	good := r.site.Receipt(b.Payload)
	bad := map[string]*link.Receipt{
		"another log":    other.Receipt(b.Payload),
		"no leaf":        change(good, func(x *link.Receipt) { x.Leaf = nil }),
		"other leaf":     change(good, func(x *link.Receipt) { x.Leaf = append([]byte(nil), x.Leaf[:len(x.Leaf)-2]...) }),
		"no checkpoint":  change(good, func(x *link.Receipt) { x.Checkpoint = "" }),
		"other batch":    change(good, func(x *link.Receipt) { x.Batch = strings.Repeat("0", 64) }),
		"more than sent": change(good, func(x *link.Receipt) { x.Last++ }),
		"other epoch":    change(good, func(x *link.Receipt) { x.Epoch = strings.Repeat("0", 32) }),
		"other index":    change(good, func(x *link.Receipt) { x.Index++ }),
	}
	for name, receipt := range bad {
		if err := r.Receive(r.trust, receipt); err == nil {
			t.Errorf("%s: freed", name)
		}
		if st := r.Stats(); st.Sealed != 1 {
			t.Errorf("%s: stats %+v", name, st)
		}
	}
	r.reopen()
	r.must(r.Receive(r.trust, good))
	if err := r.Receive(r.trust, good); core.KindOf(err) != core.KindConflict {
		t.Errorf("the same receipt again: %v", err)
	}
}

func change(r *link.Receipt, f func(*link.Receipt)) *link.Receipt {
	c := *r
	f(&c)
	return &c
}

func TestANewEpochBeginsANewChainAndTheOldBatchIsStillSent(t *testing.T) {
	r := newRig(t)
	r.must(r.Append(event(1, "a", core.SeverityLow, 0), event(2, "b", core.SeverityLow, 0)))
	r.deliver()
	r.must(r.Append(event(3, "c", core.SeverityLow, 0)))
	if b, err := r.Next(); err != nil || b.Tail.Epoch != epochOne {
		t.Fatalf("%+v %v", b, err)
	}
	r.epoch = "ffeeddccbbaa99887766554433221100"
	r.must(r.Append(event(4, "d", core.SeverityLow, 0)))
	got := r.drain()
	if len(got) != 4 || got[2].Seq != 3 || got[3].Seq != 1 || r.last[epochOne] != 3 || r.last[r.epoch] != 1 {
		t.Errorf("events %+v, last %v", got, r.last)
	}
}

func TestContinuityWithWhatWasKeptElsewhere(t *testing.T) {
	r := newRig(t)
	before := r.Tail()
	r.must(r.Append(event(1, "a", core.SeverityLow, 0)))
	b, err := r.Next()
	r.must(err)
	for name, tail := range map[string]spool.Tail{"one behind, as after a crash": before, "level": b.Tail} {
		if !r.Continues(tail) {
			t.Errorf("%s does not continue", name)
		}
	}
	r.deliver()
	ahead := spool.Tail{Epoch: b.Tail.Epoch, Last: b.Tail.Last + 1, Hash: strings.Repeat("0", 64)}
	for name, tail := range map[string]spool.Tail{"a spool from yesterday": ahead, "a state from yesterday": before} {
		if r.Continues(tail) {
			t.Errorf("%s continues", name)
		}
	}
	r.reopen()
	if r.Tail() != b.Tail {
		t.Errorf("tail %+v, want %+v", r.Tail(), b.Tail)
	}
}

// TestWhenSpaceRunsOut floods a small spool and looks at what is left.
func TestWhenSpaceRunsOut(t *testing.T) {
	r := newRig(t, func(o *spool.Options) { o.Limit = 256 << 10 })
	n := 0
	add := func(kind string, sev core.Severity, latch string) int {
		n++
		e := event(n, kind, sev, 300)
		e.Latch = latch
		r.must(r.Append(e))
		return n
	}
	latch := func(i int) string { return fmt.Sprintf("%032x", i) }
	keep := map[int]bool{add("case_opened", core.SeverityCritical, latch(1)): true, add("boot", core.SeverityInfo, ""): true}
	for range 900 {
		add("usb_removed", core.SeverityLow, "")
	}
	keep[add("case_opened", core.SeverityCritical, latch(2))] = true
	keep[add("order_refused", core.SeverityHigh, "")] = true
	for range 900 {
		add("usb_removed", core.SeverityLow, "")
	}
	keep[add("case_opened", core.SeverityCritical, latch(3))] = true
	keep[add("last_words", core.SeverityInfo, "")] = true
	st := r.Stats()
	if st.Bytes > st.Limit || st.Lost == 0 {
		t.Errorf("stats %+v", st)
	}
	if used := diskUse(t, r.o.Dir); used > 8<<20 {
		t.Errorf("%d bytes on disk", used)
	}
	r.reopen()
	if again := r.Stats(); again != st {
		t.Errorf("after a restart %+v, before %+v", again, st)
	}
	told, before := 0, 0
	for i, e := range r.drain() {
		if e.Seq != uint64(i+1) {
			t.Fatalf("event %d has sequence %d", i, e.Seq)
		}
		if e.Type == spool.EventLost {
			var f struct{ Count int }
			r.must(json.Unmarshal(e.Fields, &f))
			told += f.Count
			continue
		}
		if numberOf(t, e) <= before {
			t.Fatalf("number %d after %d", numberOf(t, e), before)
		}
		before = numberOf(t, e)
		delete(keep, before)
	}
	if len(keep) != 0 {
		t.Errorf("lost: %v", keep)
	}
	if uint64(told) != st.Lost || told+len(r.taken)-lossEvents(r.taken) != n {
		t.Errorf("%d told, %d lost, %d taken of %d", told, st.Lost, len(r.taken), n)
	}
}

func lossEvents(events []link.DeviceEvent) (n int) {
	for _, e := range events {
		if e.Type == spool.EventLost {
			n++
		}
	}
	return n
}

func diskUse(t testing.TB, dir string) (total int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		total += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}

func TestTheOutstandingBatchSurvivesMakingRoom(t *testing.T) {
	r := newRig(t, func(o *spool.Options) { o.Limit = 128 << 10 })
	r.must(r.Append(event(1, "a", core.SeverityLow, 0)))
	first, err := r.Next()
	r.must(err)
	for i := range 600 {
		r.must(r.Append(event(i+2, "flood", core.SeverityInfo, 400)))
	}
	if r.Stats().Lost == 0 {
		t.Fatal("nothing was dropped")
	}
	again, err := r.Next()
	r.must(err)
	if string(again.Envelope) != string(first.Envelope) {
		t.Error("the batch that was sent changed")
	}
	r.drain()
}

func TestEventsThatNoBatchCanCarryAreRefusedAtTheDoor(t *testing.T) {
	r := newRig(t)
	good := event(1, "a", core.SeverityLow, 0)
	bad := map[string]func(e *link.DeviceEvent){
		"no type":         func(e *link.DeviceEvent) { e.Type = "" },
		"type with space": func(e *link.DeviceEvent) { e.Type = "a b" },
		"severity":        func(e *link.DeviceEvent) { e.Severity = "urgent" },
		"sensor":          func(e *link.DeviceEvent) { e.Sensor = "../x" },
		"fields":          func(e *link.DeviceEvent) { e.Fields = json.RawMessage(`[1]`) },
		"broken fields":   func(e *link.DeviceEvent) { e.Fields = json.RawMessage(`{"a":`) },
		"latch":           func(e *link.DeviceEvent) { e.Latch = "x" },
		"no id":           func(e *link.DeviceEvent) { e.ID = core.UUID{} },
	}
	for name, harm := range bad {
		e := good
		harm(&e)
		if err := r.Append(e); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	big := good
	big.Fields = fmt.Appendf(nil, `{"x":%q}`, strings.Repeat("y", 100<<10))
	r.must(r.Append(good, big))
	got := r.drain()
	if len(got) != 2 || !strings.Contains(string(got[1].Fields), `"truncated":true`) {
		t.Errorf("events %+v", got)
	}
}

func TestAFailedSyncIsToldAndMended(t *testing.T) {
	fail := false
	r := newRig(t, func(o *spool.Options) {
		o.WAL.Sync = func(f *os.File) error {
			if fail {
				return errors.New("I/O error")
			}
			return f.Sync()
		}
	})
	r.must(r.Append(event(1, "a", core.SeverityLow, 0)))
	fail = true
	if err := r.Append(event(2, "b", core.SeverityLow, 0)); err == nil {
		t.Error("a failed sync was acknowledged")
	}
	fail = false
	r.must(r.Append(event(3, "c", core.SeverityLow, 0)))
	got := r.drain()
	if numberOf(t, got[0]) != 1 || numberOf(t, got[len(got)-1]) != 3 {
		t.Errorf("events %+v", got)
	}
}

func TestOnAFullDiskLatchesAreStillWritten(t *testing.T) {
	var full atomic.Bool // the log prepares segments beside its caller
	r := newRig(t, func(o *spool.Options) {
		o.WAL.SegmentSize = 128 << 10
		o.WAL.Alloc = func(f *os.File, size int64) error {
			if full.Load() {
				return syscall.ENOSPC
			}
			_, err := f.WriteAt(make([]byte, size), 0)
			return err
		}
	})
	r.must(r.Append(event(1, "a", core.SeverityLow, 0)))
	full.Store(true)
	n, refused := 1, false
	for range 400 {
		n++
		err := r.Append(event(n, "flood", core.SeverityHigh, 2000))
		var partial *spool.PartialError
		if errors.As(err, &partial) {
			refused = true
			break
		}
		r.must(err)
	}
	if !refused {
		t.Fatal("the disk never got full")
	}
	latched := event(n+1, "case_opened", core.SeverityCritical, 0)
	latched.Latch = strings.Repeat("ab", 16)
	var partial *spool.PartialError
	if err := r.Append(event(n+2, "flood", core.SeverityHigh, 2000), latched); !errors.As(err, &partial) {
		t.Errorf("Append: %v", err)
	}
	full.Store(false)
	got := r.drain()
	if last := got[len(got)-1]; last.Latch == "" {
		t.Errorf("the last event is %+v", last)
	}
}

func TestDamageInTheMiddleIsNotRepaired(t *testing.T) {
	r := newRig(t)
	for i := range 50 {
		r.must(r.Append(event(i+1, "a", core.SeverityLow, 100)))
	}
	r.must(r.Close())
	segments, err := filepath.Glob(filepath.Join(r.o.Dir, "gen-1", "*.wal"))
	r.must(err)
	if len(segments) == 0 {
		segments, err = filepath.Glob(filepath.Join(r.o.Dir, "gen-1", "0*"))
		r.must(err)
	}
	raw, err := os.ReadFile(segments[0])
	r.must(err)
	raw[2000] ^= 0x40
	r.must(os.WriteFile(segments[0], raw, 0o600))
	if _, err := spool.Open(r.o); core.KindOf(err) != core.KindDamaged {
		t.Fatalf("Open: %v", err)
	}
	aside, err := spool.Quarantine(r.o.Dir, 7)
	r.must(err)
	if _, err := os.Stat(aside); err != nil {
		t.Error(err)
	}
	r.Spool = nil
	r.reopen()
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte("e\x00\x00\x00\x00\x00\x00\x00\x01{\"event\":{\"seq\":0}}"))
	f.Add([]byte("a\x00\x00\x00\x00\x00\x00\x00\x01{\"ack\":{\"tail\":{\"epoch\":\"\",\"last\":0,\"hash\":\"\"},\"lost\":0}}"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		if err := spool.CheckRecord(frame); err != nil && core.KindOf(err) != core.KindDamaged {
			t.Errorf("%q: %v", frame, err)
		}
	})
}

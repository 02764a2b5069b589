package link_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

func newBatch(first, last uint64) *link.Batch {
	b := &link.Batch{
		V: 1, Tenant: core.MustID[core.TenantID]("acme"), Device: core.MustID[core.DeviceID]("press-7"), Epoch: epoch,
		First: first, Last: last, Boot: "0b6f3c2e-6d1c-4a5e-9a39-5f6a4f0e7d11", StateCounter: 3, PolicyVersion: 7, RootVersion: 1,
		LogSize: 5, LogRoot: base64.StdEncoding.EncodeToString(make([]byte, 32)), Sent: issued.UnixMicro(),
	}
	if first > 1 {
		b.Prev = strings.Repeat("ab", 32)
	}
	for seq := first; seq <= last; seq++ {
		b.Events = append(b.Events, link.DeviceEvent{
			Seq: seq, ID: testUUID(byte(seq)), Time: issued.UnixMicro(), Mono: int64(seq), Type: "carrier_down", Class: core.ClassDeviceState,
			Severity: core.SeverityHigh, Sensor: "eth0", State: core.SensorAlarm, Latch: latch, Fields: json.RawMessage(`{"Interface":"eth0","interface":2}`),
		})
	}
	return b
}

func encodeBatch(t testing.TB, b *link.Batch) []byte {
	t.Helper()
	payload, err := link.EncodeBatch(b)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

func TestBatchGoldenBytes(t *testing.T) {
	first := newBatch(1, 1)
	first.Events[0].Sensor, first.Events[0].State, first.Events[0].Latch, first.Events[0].Simulated = "", "", "", true
	first.LogSize, first.LogRoot = 0, ""
	golden(t, "batches.ndjson", append(append(encodeBatch(t, first), '\n'), append(encodeBatch(t, newBatch(2, 4)), '\n')...))
}

func TestBatchRules(t *testing.T) {
	rows := []struct {
		name   string
		change func(*link.Batch)
		want   string
	}{
		{"format", func(b *link.Batch) { b.V = 2 }, "known is 1"},
		{"no device", func(b *link.Batch) { b.Device = core.DeviceID{} }, "must both be named"},
		{"no tenant", func(b *link.Batch) { b.Tenant = core.TenantID{} }, "must both be named"},
		{"epoch", func(b *link.Batch) { b.Epoch = strings.ToUpper(latch) }, "epoch"},
		{"boot", func(b *link.Batch) { b.Boot = "" }, "boot"},
		{"boot with escape", func(b *link.Batch) { b.Boot = "\x1b" }, "boot"},
		{"sent", func(b *link.Batch) { b.Sent = -1 }, "sent"},
		{"root without size", func(b *link.Batch) { b.LogSize = 0 }, "without log_size"},
		{"root form", func(b *link.Batch) { b.LogRoot = "AAAA" }, "log_root"},
		{"sequence 0", func(b *link.Batch) { b.First = 0 }, "begins at 1"},
		{"backwards", func(b *link.Batch) { b.Last = 1 }, "never falls"},
		{"whole range", func(b *link.Batch) { b.First, b.Last = 1, 1<<64-1 }, "at most 1000"},
		{"fewer events", func(b *link.Batch) { b.Last++ }, "3 events"},
		{"more events", func(b *link.Batch) { b.Last-- }, "3 events"},
		{"gap", func(b *link.Batch) { b.Events[1].Seq = 9 }, "no gaps"},
		{"no prev", func(b *link.Batch) { b.Prev = "" }, "prev"},
		{"prev of the first", func(b *link.Batch) { *b = *newBatch(1, 1); b.Prev = strings.Repeat("ab", 32) }, "names no batch before it"},
		{"event without id", func(b *link.Batch) { b.Events[0].ID = core.UUID{} }, "events[0]: there is no id"},
		{"event type", func(b *link.Batch) { b.Events[2].Type = "Case Opened" }, "events[2]: type"},
		{"event time", func(b *link.Batch) { b.Events[0].Time = -1 }, "negative"},
		{"event latch", func(b *link.Batch) { b.Events[0].Latch = "x" }, "latch"},
		{"event sensor", func(b *link.Batch) { b.Events[0].Sensor = "../x" }, "sensor"},
		{"event fields", func(b *link.Batch) { b.Events[0].Fields = json.RawMessage(`[1]`) }, "not an object"},
		{"event severity", func(b *link.Batch) { b.Events[0].Severity = "urgent" }, "severity"},
		{"event state", func(b *link.Batch) { b.Events[0].State = "fine" }, "sensor state"},
	}
	for _, row := range rows {
		b := newBatch(2, 4)
		row.change(b)
		payload, err := link.Encode(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := link.DecodeBatch(payload); core.KindOf(err) != core.KindInvalid || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", row.name, err, row.want)
		}
	}
	if _, err := link.DecodeBatch(make([]byte, link.MaxPayload+1)); core.KindOf(err) != core.KindTooLarge {
		t.Error(err)
	}
	huge := newBatch(1, 1)
	huge.Events[0].Fields = json.RawMessage(`{"x":"` + strings.Repeat("x", link.MaxPayload) + `"}`)
	if _, err := link.EncodeBatch(huge); core.KindOf(err) != core.KindTooLarge {
		t.Error(err)
	}
}

func TestBatchFollowsItsChain(t *testing.T) {
	first := encodeBatch(t, newBatch(1, 3))
	hash := link.BatchHash(first)
	second := newBatch(4, 4)
	second.Prev = fmt.Sprintf("%x", hash)
	if err := second.Follows(epoch, 3, hash); err != nil {
		t.Error(err)
	}
	if err := newBatch(1, 1).Follows(epoch, 0, [32]byte{}); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"another epoch": second.Follows(other, 3, hash),
		"a gap":         second.Follows(epoch, 2, hash),
		"an overlap":    second.Follows(epoch, 4, hash),
		"another batch": second.Follows(epoch, 3, [32]byte{1}),
	} {
		if core.KindOf(err) != core.KindConflict {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestResultRules(t *testing.T) {
	good := link.Result{V: 1, Tenant: core.MustID[core.TenantID]("acme"), Device: core.MustID[core.DeviceID]("press-7"), Order: testUUID(1), Outcome: link.OutcomeDone, Detail: "relay open", Epoch: epoch, Time: issued.UnixMicro()}
	b, err := link.EncodeResult(&good)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "result.json", b)
	for name, change := range map[string]func(*link.Result){
		"format": func(r *link.Result) { r.V = 0 }, "device": func(r *link.Result) { r.Device = core.DeviceID{} },
		"order": func(r *link.Result) { r.Order = core.UUID{} }, "outcome": func(r *link.Result) { r.Outcome = "ok" },
		"detail": func(r *link.Result) { r.Detail = strings.Repeat("x", 2001) }, "epoch": func(r *link.Result) { r.Epoch = "" }, "time": func(r *link.Result) { r.Time = -1 },
	} {
		r := good
		change(&r)
		if _, err := link.EncodeResult(&r); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A signed result is no batch and the other way round.
	if _, err := link.DecodeBatch(b); err == nil {
		t.Error("a result read as a batch")
	}
	if _, err := link.DecodeResult(encodeBatch(t, newBatch(1, 1))); err == nil {
		t.Error("a batch read as a result")
	}
}

// The group's tree is the one that x/mod builds.
func TestGroupTreeIsRFC6962(t *testing.T) {
	for n := 1; n <= 33; n++ {
		l := &testLog{t: t}
		var hashes [][32]byte
		for i := range n {
			h := link.BatchHash([]byte{byte(i)})
			hashes = append(hashes, h)
			l.append(h[:])
		}
		want, err := tlog.TreeHash(int64(n), l)
		if err != nil {
			t.Fatal(err)
		}
		if got := link.GroupRoot(hashes); got != want {
			t.Fatalf("%d batches: root %x, want %s", n, got, want)
		}
		for i := range n {
			got, err := link.GroupPath(hashes, i)
			if err != nil || fmt.Sprintf("%x", got) != fmt.Sprintf("%x", l.path(uint64(i))) {
				t.Fatalf("path %d of %d: %x, %v", i, n, got, err)
			}
		}
	}
	if got := link.GroupRoot(nil); got != link.BatchHash(nil) {
		t.Errorf("the empty group has root %x", got)
	}
	if _, err := link.GroupPath(nil, 0); err == nil {
		t.Error("a path in an empty group")
	}
}

// receiptFor makes the receipt of batch i in a group, as a server would.
func (s *site) receiptFor(batches [][]byte, i int) *link.Receipt {
	s.t.Helper()
	var hashes [][32]byte
	for _, b := range batches {
		hashes = append(hashes, link.BatchHash(b))
	}
	leaf := auditLeaf("batch", link.BatchGroupObject(link.GroupRoot(hashes)))
	index := s.log.append(leaf)
	path, err := link.GroupPath(hashes, i)
	if err != nil {
		s.t.Fatal(err)
	}
	b, err := link.DecodeBatch(batches[i])
	if err != nil {
		s.t.Fatal(err)
	}
	return &link.Receipt{
		V: 1, Device: b.Device, Epoch: b.Epoch, First: b.First, Last: b.Last, Batch: fmt.Sprintf("%x", hashes[i]),
		GroupIndex: uint64(i), GroupSize: uint64(len(batches)), GroupPath: path, Leaf: leaf, Index: index, LeafPath: s.log.path(index), Checkpoint: s.log.checkpoint(),
	}
}

func TestReceiptProvesTheBatch(t *testing.T) {
	s := quorumSite(t)
	tr := s.trust()
	s.log.append([]byte("entry before"))
	batches := [][]byte{encodeBatch(t, newBatch(1, 3)), encodeBatch(t, newBatch(4, 5)), encodeBatch(t, newBatch(6, 6))}
	for i := range batches {
		r := s.receiptFor(batches, i)
		b, err := link.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		back, err := link.DecodeReceipt(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := link.VerifyReceipt(tr, back, batches[i]); err != nil {
			t.Error(err)
		}
		if err := link.VerifyReceipt(tr, back, batches[(i+1)%3]); core.KindOf(err) != core.KindDamaged {
			t.Errorf("for another batch: %v", err)
		}
		if i == 1 {
			golden(t, "receipt.json", b)
		}
	}
}

// A server that acknowledges without keeping, or names something else, is seen.
func TestReceiptThatProvesNothing(t *testing.T) {
	s := quorumSite(t)
	tr := s.trust()
	batches := [][]byte{encodeBatch(t, newBatch(1, 3)), encodeBatch(t, newBatch(4, 5))}
	sibling := link.BatchHash([]byte("x"))
	rows := []struct {
		name   string
		change func(*link.Receipt)
	}{
		{"format", func(r *link.Receipt) { r.V = 2 }},
		{"another device", func(r *link.Receipt) { r.Device = core.MustID[core.DeviceID]("press-8") }},
		{"another epoch", func(r *link.Receipt) { r.Epoch = other }},
		{"longer run", func(r *link.Receipt) { r.Last++ }},
		{"another batch", func(r *link.Receipt) { r.Batch = strings.Repeat("0", 64) }},
		{"batch form", func(r *link.Receipt) { r.Batch = "x" }},
		{"group index", func(r *link.Receipt) { r.GroupIndex = 1 }},
		{"group index above", func(r *link.Receipt) { r.GroupIndex = 2 }},
		{"group size", func(r *link.Receipt) { r.GroupSize = 3 }},
		{"no group", func(r *link.Receipt) { r.GroupSize = 0 }},
		{"huge group", func(r *link.Receipt) { r.GroupSize = 1 << 62 }},
		{"group path", func(r *link.Receipt) { r.GroupPath = [][]byte{sibling[:]} }},
		{"short hash", func(r *link.Receipt) { r.GroupPath = [][]byte{sibling[:31]} }},
		{"long path", func(r *link.Receipt) { r.LeafPath = make([][]byte, 65) }},
		{"no leaf", func(r *link.Receipt) { r.Leaf = nil }},
		{"leaf not in the log", func(r *link.Receipt) { r.Leaf = append(r.Leaf, ' ') }},
		{"leaf of another type", func(r *link.Receipt) {
			r.Leaf = []byte(strings.Replace(string(r.Leaf), `"batch"`, `"fact"`, 1))
			s.relog(r)
		}},
		{"leaf of another group", func(r *link.Receipt) {
			r.Leaf = []byte(`{"type":"batch","object":"` + link.BatchGroupObject(sibling) + `"}`)
			s.relog(r)
		}},
		{"leaf without object", func(r *link.Receipt) { r.Leaf = []byte(`{"type":"batch"}`); s.relog(r) }},
		{"object after the header line", func(r *link.Receipt) {
			r.Leaf = []byte("{\"type\":\"batch\",\n" + string(r.Leaf[1:]))
			s.relog(r)
		}},
		{"header that is not UTF-8", func(r *link.Receipt) {
			r.Leaf = []byte(strings.Replace(string(r.Leaf), "fleet", "fl\xffet", 1))
			s.relog(r)
		}},
		{"leaf that is no JSON", func(r *link.Receipt) { r.Leaf = []byte(`batch`); s.relog(r) }},
		{"leaf with two objects", func(r *link.Receipt) {
			r.Leaf = []byte(strings.Replace(string(r.Leaf), `"object"`, `"Object":"x","object"`, 1))
			s.relog(r)
		}},
		{"index", func(r *link.Receipt) { r.Index++ }},
		{"index above", func(r *link.Receipt) { r.Index = 1 << 63 }},
		{"checkpoint of another log", func(r *link.Receipt) {
			l := newTestLog(t, "other", origin)
			l.append(r.Leaf)
			r.Index, r.LeafPath, r.Checkpoint = 0, nil, l.checkpoint()
		}},
		{"no checkpoint", func(r *link.Receipt) { r.Checkpoint = "" }},
		{"huge checkpoint", func(r *link.Receipt) { r.Checkpoint = strings.Repeat("x", 1<<20) }},
	}
	for _, row := range rows {
		r := s.receiptFor(batches, 0)
		if err := link.VerifyReceipt(tr, r, batches[0]); err != nil {
			t.Fatal(err)
		}
		row.change(r)
		if err := link.VerifyReceipt(tr, r, batches[0]); err == nil {
			t.Errorf("%s: accepted", row.name)
		}
	}
	if err := link.VerifyReceipt(tr, s.receiptFor(batches, 0), []byte(`{}`)); err == nil {
		t.Error("for bytes that are no batch")
	}
}

// What is malformed is refused where it is read, before anything is computed.
func TestReceiptForm(t *testing.T) {
	s := quorumSite(t)
	batches := [][]byte{encodeBatch(t, newBatch(1, 3)), encodeBatch(t, newBatch(4, 5))}
	for name, change := range map[string]func(*link.Receipt){
		"no device":       func(r *link.Receipt) { r.Device = core.DeviceID{} },
		"epoch":           func(r *link.Receipt) { r.Epoch = "x" },
		"first":           func(r *link.Receipt) { r.First = 0 },
		"last":            func(r *link.Receipt) { r.First, r.Last = 2, 1 },
		"batch":           func(r *link.Receipt) { r.Batch = strings.ToUpper(r.Batch) },
		"empty group":     func(r *link.Receipt) { r.GroupSize, r.GroupIndex = 0, 0 },
		"huge group":      func(r *link.Receipt) { r.GroupSize = link.MaxGroup + 1 },
		"index of group":  func(r *link.Receipt) { r.GroupIndex = r.GroupSize },
		"no leaf":         func(r *link.Receipt) { r.Leaf = nil },
		"large leaf":      func(r *link.Receipt) { r.Leaf = make([]byte, 64<<10+1) },
		"long group path": func(r *link.Receipt) { r.GroupPath = longPath() },
		"long leaf path":  func(r *link.Receipt) { r.LeafPath = longPath() },
		"short hash":      func(r *link.Receipt) { r.LeafPath = [][]byte{{1}} },
		"checkpoint":      func(r *link.Receipt) { r.Checkpoint = strings.Repeat("x", 128<<10+1) },
	} {
		r := s.receiptFor(batches, 1)
		change(r)
		b, err := link.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := link.DecodeReceipt(b); core.KindOf(err) != core.KindInvalid && core.KindOf(err) != core.KindTooLarge {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func longPath() [][]byte {
	p := make([][]byte, 65)
	for i := range p {
		p[i] = make([]byte, 32)
	}
	return p
}

// relog puts a changed leaf into the log, so that only its content is wrong.
func (s *site) relog(r *link.Receipt) {
	r.Index = s.log.append(r.Leaf)
	r.LeafPath, r.Checkpoint = s.log.path(r.Index), s.log.checkpoint()
}

func FuzzDecodeBatch(f *testing.F) {
	f.Add(encodeBatch(f, newBatch(1, 2)))
	f.Add(encodeBatch(f, newBatch(5, 5)))
	f.Fuzz(func(t *testing.T, b []byte) {
		batch, err := link.DecodeBatch(b)
		if err != nil {
			return
		}
		if _, err := link.EncodeBatch(batch); err != nil && core.KindOf(err) != core.KindTooLarge {
			t.Fatal(err)
		}
	})
}

func FuzzReceipt(f *testing.F) {
	s := newSite(f, link.ModeQuorum, "anna", "ben", "cora")
	tr := s.trust()
	batch := encodeBatch(f, newBatch(1, 2))
	b, err := link.Encode(s.receiptFor([][]byte{batch, encodeBatch(f, newBatch(3, 3))}, 0))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := link.DecodeReceipt(b)
		if err != nil {
			return
		}
		if err := link.VerifyReceipt(tr, r, batch); err == nil && r.Batch != fmt.Sprintf("%x", link.BatchHash(batch)) {
			t.Errorf("proved another batch")
		}
	})
}

func FuzzDecodeResult(f *testing.F) {
	f.Add([]byte(`{"v":1,"tenant":"a","device":"b","order":"01932d3f-9b9e-7c2a-8f00-000000000001","outcome":"done","detail":"","epoch":"` + epoch + `","time":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := link.DecodeResult(b); err == nil {
			if _, err := link.EncodeResult(r); err != nil && core.KindOf(err) != core.KindTooLarge {
				t.Fatal(err)
			}
		}
	})
}

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/link/ceremony"
	"github.com/interlock-security/interlock/test/rig"
)

// TestADamagedLogIsSucceeded is F14: damage is stop-only mode, not absence, and
// persons end it. A byte in the middle of the log is another one, or the folder
// is an old copy; what was recorded after that place cannot be proved any more.
// Or nothing is left at all: then persons also have to take the device in again,
// because nothing vouches for its row.
func TestADamagedLogIsSucceeded(t *testing.T) {
	t.Run("a byte in the middle", func(t *testing.T) { newDamage(t).run((*damage).flip) })
	t.Run("an old copy", func(t *testing.T) { newDamage(t).run((*damage).restore) })
	t.Run("nothing left", func(t *testing.T) { newDamage(t).run((*damage).wipe) })
}

// damage is a site of three persons with one device, and a proof that was handed
// out before its log was damaged.
type damage struct {
	t     *testing.T
	s     *site
	d     *device
	proof string // a file
	wiped bool
}

const damagedDevice = "press-7"

func newDamage(t *testing.T) *damage {
	t.Helper()
	s := newSite(t)
	s.configure("")
	s.must([]int{0}, "root", "init", "--person", "anna", "--person", "ben", "--person", "cleo")
	s.serve()
	x := &damage{t: t, s: s, d: s.enrol(damagedDevice, nil), proof: filepath.Join(s.Dir, "old.tlog-proof")}
	entries := ask[[]api.AuditEntry](s, "audit", "search", "--object", "device/"+damagedDevice)
	if len(entries) == 0 {
		t.Fatal("the log has no word of the device")
	}
	s.must([]int{0}, "audit", "proof", fmt.Sprint(entries[0].Index), "--out", x.proof)
	return x
}

func (x *damage) dump() string { return x.s.out.String() + "\ndevice:\n" + x.d.out.String() }

func (x *damage) path(name string) string { return filepath.Join(x.s.Dir, name) }

// record makes entries that a search finds in the log's bytes, and waits until
// the state database knows of them: reports of the device come later than that.
func (x *damage) record() {
	x.t.Helper()
	for range 6 {
		x.s.must([]int{0}, "audit", "search", "--limit", "1")
	}
	before := len(x.s.events(1000))
	rig.Await(x.t, "two more reports", x.dump, func() bool { return len(x.s.events(1000)) >= before+2 })
}

// flip changes one byte of an entry that others follow.
func (x *damage) flip() {
	x.t.Helper()
	x.record()
	x.s.kill()
	path := filepath.Join(x.s.Data, "audit", "0001", "wal", fmt.Sprintf("%016d.wal", 1))
	b, err := os.ReadFile(path)
	if err != nil {
		x.t.Fatal(err)
	}
	first := bytes.Index(b, []byte(`"action":"audit.read"`))
	at := bytes.Index(b[first+1:], []byte(`"action":"audit.read"`))
	if first < 0 || at < 0 {
		x.t.Fatal("the entries are not in the log's first segment")
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		x.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	place := int64(first + 1 + at + len(`"action":"a`))
	if _, err := f.WriteAt([]byte{b[place] ^ 1}, place); err != nil {
		x.t.Fatal(err)
	}
}

// restore puts a copy back that was whole when it was made.
func (x *damage) restore() {
	x.t.Helper()
	x.s.kill()
	folder := filepath.Join(x.s.Data, "audit")
	if err := os.CopyFS(x.path("copy"), os.DirFS(folder)); err != nil {
		x.t.Fatal(err)
	}
	x.s.serve()
	x.record()
	x.s.kill()
	if err := os.RemoveAll(folder); err != nil {
		x.t.Fatal(err)
	}
	if err := os.Rename(x.path("copy"), folder); err != nil {
		x.t.Fatal(err)
	}
	if err := os.Chmod(folder, 0o700); err != nil {
		x.t.Fatal(err)
	}
}

// wipe leaves nothing of the log.
func (x *damage) wipe() {
	x.t.Helper()
	x.record()
	x.s.kill()
	if err := os.RemoveAll(filepath.Join(x.s.Data, "audit", "0001")); err != nil {
		x.t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(x.s.Data, "audit", "0001"), 0o700); err != nil {
		x.t.Fatal(err)
	}
	x.wiped = true
}

func (x *damage) run(spoil func(*damage)) {
	spoil(x)
	x.s.serve()
	x.stopOnly()
	x.towardsSafety()
	x.succeed()
	x.name()
	x.awayFromSafety()
	x.prove()
}

// stopOnly: the server runs, and says loudly what is wrong.
func (x *damage) stopOnly() {
	x.t.Helper()
	text, code := x.s.run("status")
	if code != 2 || !strings.Contains(text, "audit unhealthy") || !strings.Contains(text, "stop-only") || !strings.Contains(text, "interlock audit succession statement") {
		x.t.Errorf("status, exit %d:\n%s", code, text)
	}
	// Whoever mends the log can look at it; that is recorded too, in the next one.
	x.s.must([]int{0}, "audit", "search", "--limit", "1")
	x.s.must([]int{0}, "audit", "export", x.path("damaged"))
	want, says := 2, "no succession is signed yet"
	if x.wiped {
		want, says = 1, "is not in the export"
	}
	if text, code := x.s.run("audit", "verify", x.path("damaged")); code != want || !strings.Contains(text, says) {
		x.t.Errorf("an export in stop-only mode, exit %d:\n%s", code, text)
	}
	if text, code := x.s.run("audit", "verify", x.proof); code != 0 {
		x.t.Errorf("the old proof, exit %d:\n%s", code, text)
	}
}

func (x *damage) told(kind string) bool {
	return slices.ContainsFunc(x.s.events(2000), func(e core.Event) bool { return e.Type == kind })
}

func (x *damage) device() api.Device {
	x.t.Helper()
	got, err := get[api.Device](x.s, "/v1/devices/"+damagedDevice)
	if err != nil {
		x.t.Fatalf("%v\n%s", err, x.dump())
	}
	return got
}

// towardsSafety: a stop and a quarantine reach the device, its reports reach
// the server; a release waits.
func (x *damage) towardsSafety() {
	x.t.Helper()
	x.s.must([]int{0, 1}, "stop", "--device", damagedDevice, "--reason", "test", "--wait", "30s")
	rig.Await(x.t, "the device's stop", x.dump, func() bool {
		st, ok := x.d.status()
		return ok && st.Stopped
	})
	x.s.must([]int{0}, "device", "quarantine", damagedDevice, "--reason", "test")
	rig.Await(x.t, "the quarantine", x.dump, func() bool {
		st, ok := x.d.status()
		return ok && st.Contained && x.device().State == core.DeviceQuarantined
	})
	before := x.device().Sequence
	rig.Await(x.t, "more reports of the device", x.dump, func() bool { return x.device().Sequence >= before+2 })
	if text, code := x.s.run("device", "release", damagedDevice, "--reason", "test"); code != 2 || !strings.Contains(text, "stop-only") {
		x.t.Errorf("a release in stop-only mode, exit %d:\n%s", code, text)
	}
}

// succeed holds the ceremony: two of three recovery keys, one after another.
func (x *damage) succeed() {
	x.t.Helper()
	recovery := func(n int) string { return filepath.Join(x.s.Keys, "recovery", fmt.Sprintf("recovery-%d", n)) }
	bare, signed := x.path("statement.json"), x.path("signed.json")
	if text := x.s.must([]int{0}, "audit", "succession", "statement", "--out", bare); !strings.Contains(text, "LOST") {
		x.t.Errorf("the statement hides the gap:\n%s", text)
	}
	if text, code := x.s.run("audit", "succession", "sign", bare, "--out", signed, "--key", filepath.Join(x.s.Keys, "keys", "anna"), "--yes"); code != 2 || !strings.Contains(text, "no recovery key") {
		x.t.Errorf("an everyday key, exit %d:\n%s", code, text)
	}
	x.s.must([]int{0}, "audit", "succession", "sign", bare, "--out", signed, "--key", recovery(1), "--yes")
	if text, code := x.s.run("audit", "succession", "submit", signed); code != 2 || !strings.Contains(text, "role root needs") {
		x.t.Errorf("one signature, exit %d:\n%s", code, text)
	}
	x.s.must([]int{0}, "audit", "succession", "sign", signed, "--key", recovery(2), "--yes")
	x.s.must([]int{0}, "audit", "succession", "submit", signed)
	state, err := get[api.LogState](x.s, "/v1/audit/state")
	if err != nil || state.Mode != "normal" || !strings.HasSuffix(state.Origin, "/g3") {
		x.t.Fatalf("after the succession: %+v, %v\n%s", state, err, x.dump())
	}
	rig.Await(x.t, "what the server and the device say of it", x.dump, func() bool {
		return x.told("audit_log_damaged") && x.told("audit_log_succeeded") && x.told("log_diverted")
	})
	if text, code := x.s.run("audit", "succession", "statement"); code != 2 {
		x.t.Errorf("a whole log has a statement, exit %d:\n%s", code, text)
	}
}

// name publishes the trust root that names the new log; a root that keeps the
// old one is taken by nobody.
func (x *damage) name() {
	x.t.Helper()
	next, root := x.path("next.json"), x.path("root-2.json")
	if text := x.s.must([]int{0, 1, 2}, "status"); !strings.Contains(text, "audit succession root") {
		x.t.Errorf("status does not say that the root names the old log:\n%s", text)
	}
	x.s.must([]int{0}, "audit", "succession", "root", x.path("signed.json"), "--out", next)
	x.keepOld(next)
	x.s.must([]int{0}, "root", "sign", next, "--out", root, "--as", "anna", "--recovery", "--yes")
	x.s.must([]int{0}, "root", "sign", root, "--as", "ben", "--yes")
	x.s.must([]int{0}, "root", "verify", root)
	before := x.ofKeys()
	x.s.must([]int{0}, "root", "publish", root)
	x.s.must([]int{0}, "root", "follow")
	trust, err := ceremony.LoadTrust(x.s.Keys)
	if err != nil || trust.Root().Version != 2 || !strings.HasSuffix(trust.Root().LogOrigin, "/g3") {
		x.t.Fatalf("the own copy: %v", err)
	}
	rig.Await(x.t, "the device follows", x.dump, func() bool {
		st, ok := x.d.status()
		return ok && st.RootVersion == 2 && st.RootHash == trust.Hash()
	})
	rig.Await(x.t, "the keys process follows", x.dump, func() bool { return !bytes.Equal(x.ofKeys(), before) })
	rig.Await(x.t, "nothing more to do for the log", x.dump, func() bool {
		st, err := get[api.Status](x.s, "/v1/status")
		return err == nil && st.RootVersion == 2 && st.Parts["audit"] == core.HealthHealthy && !strings.Contains(strings.Join(st.Warnings, "\n"), "audit log")
	})
}

// ofKeys is the trust root that the keys process has adopted, as it keeps it.
func (x *damage) ofKeys() []byte {
	x.t.Helper()
	b, err := os.ReadFile(filepath.Join(x.s.Data, "keys", "root.sealed"))
	if err != nil {
		x.t.Fatal(err)
	}
	return b
}

// keepOld publishes a next root that does not name the new log.
func (x *damage) keepOld(next string) {
	x.t.Helper()
	b, err := os.ReadFile(next)
	if err != nil {
		x.t.Fatal(err)
	}
	doc, err := link.DecodeRoot(b)
	if err != nil {
		x.t.Fatal(err)
	}
	own, err := ceremony.LoadTrust(x.s.Keys)
	if err != nil {
		x.t.Fatal(err)
	}
	doc.LogKey, doc.LogOrigin = own.Root().LogKey, own.Root().LogOrigin
	if b, err = link.EncodeRoot(doc); err != nil {
		x.t.Fatal(err)
	}
	rig.Write(x.t, x.path("kept.json"), string(b))
	x.s.must([]int{0}, "root", "sign", x.path("kept.json"), "--out", x.path("kept-signed.json"), "--as", "anna", "--recovery", "--yes")
	x.s.must([]int{0}, "root", "sign", x.path("kept-signed.json"), "--as", "ben", "--yes")
	if text, code := x.s.run("root", "publish", x.path("kept-signed.json")); code != 2 {
		x.t.Errorf("a root that keeps the damaged log was published, exit %d:\n%s", code, text)
	}
}

// awayFromSafety: what waited works again, and containment under the new root.
func (x *damage) awayFromSafety() {
	x.t.Helper()
	if x.wiped {
		x.takeIn()
	}
	x.release()
	x.s.must([]int{0}, "device", "quarantine", damagedDevice, "--reason", "again")
	rig.Await(x.t, "another quarantine", x.dump, func() bool {
		st, ok := x.d.status()
		return ok && st.Contained
	})
	x.release()
}

// takeIn approves the device anew: the log does not know it any more, and an
// entry that is on its way would have come by now.
func (x *damage) takeIn() {
	x.t.Helper()
	if text, code := x.s.run("device", "release", damagedDevice, "--reason", "too early"); code != 2 {
		x.t.Errorf("a device that nothing vouches for is released, exit %d:\n%s", code, text)
	}
	rig.Await(x.t, "an alarm for the device", x.dump, func() bool { return x.told("authority_mismatch") })
	x.s.must([]int{0}, "device", "approve", damagedDevice, "--code", x.device().ShortCode)
}

func (x *damage) release() {
	x.t.Helper()
	// A report of the release before this one may still be on its way.
	rig.Await(x.t, "the server knows the latches that the device has", x.dump, func() bool {
		st, ok := x.d.status()
		d := x.device()
		return ok && len(d.Latches) > 0 && rig.Known(d, st)
	})
	order := ask[api.Order](x.s, "device", "release", damagedDevice, "--reason", "looked at")
	x.s.must([]int{0}, "approve", order.ID.String(), "--as", "anna", "--yes")
	x.s.must([]int{0}, "approve", order.ID.String(), "--as", "ben", "--yes")
	rig.Await(x.t, "the release", x.dump, func() bool {
		st, ok := x.d.status()
		return ok && !st.Contained && len(st.Latches) == 0
	})
}

// prove: the record is whole across the gap, for whoever has the trust root, and
// stays so after a restart.
func (x *damage) prove() {
	x.t.Helper()
	x.s.kill()
	x.s.serve()
	if state, err := get[api.LogState](x.s, "/v1/audit/state"); err != nil || state.Mode != "normal" {
		x.t.Fatalf("after a restart: %+v, %v", state, err)
	}
	dir := x.path("export")
	x.s.must([]int{0}, "audit", "export", dir)
	text := x.s.must([]int{0}, "audit", "verify", dir)
	for _, want := range []string{"/g2: ", "/g3: ", "LOST: ", "begun because the log before it was damaged", "begun by a succession that the root role signed"} {
		if !strings.Contains(text, want) {
			x.t.Errorf("%q is not in the verification:\n%s", want, text)
		}
	}
	x.s.must([]int{0}, "audit", "verify", x.proof)
	key, err := os.ReadFile(filepath.Join(dir, "log.vkey"))
	if err != nil {
		x.t.Fatal(err)
	}
	if text, code := x.s.run("audit", "verify", dir, "--key", strings.TrimSpace(string(key))); code != 2 {
		x.t.Errorf("without a trust root, exit %d:\n%s", code, text)
	}
	first := "1"
	if x.wiped {
		first = "2" // of the first one there was nothing to export
	}
	if err := os.RemoveAll(filepath.Join(dir, "predecessors", first)); err != nil {
		x.t.Fatal(err)
	}
	if text, code := x.s.run("audit", "verify", dir); code != 1 {
		x.t.Errorf("without log %s, exit %d:\n%s", first, code, text)
	}
}

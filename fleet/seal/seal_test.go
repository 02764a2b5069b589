package seal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/color"
	"image/jpeg"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/fleet/seal"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/policy"
)

var (
	tenant = core.MustID[core.TenantID]("acme")
	other  = core.MustID[core.TenantID]("other")
	site   = core.MustID[core.SiteID]("hall-1")
	press  = core.MustID[core.DeviceID]("press-7")
	start  = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	otto   = person("otto", core.RoleOperator)
	vera   = person("vera", core.RoleViewer)
)

func person(name string, role string) core.Principal {
	return core.Principal{Kind: core.KindPerson, ID: name, Tenant: tenant, Roles: []string{role}, Sites: []core.SiteID{site}}
}

// rig is the registry of seals over a real store, the real Guard and a real
// keyring; journal and log are in memory.
type rig struct {
	t      *testing.T
	db     *store.DB
	clock  *clocktest.Clock
	seals  *seal.Seals
	reg    *fleet.Registry
	log    []string
	facts  []audit.Entry
	events []core.Event
	shots  int
}

// Intent implements policy.Recorder.
func (r *rig) Intent(_ context.Context, _ core.Principal, do core.Action, on core.Resource, _ core.Decision) (core.Position, error) {
	r.log = append(r.log, "intent "+string(do)+" "+on.String())
	return core.Position{Origin: "log", Index: uint64(len(r.log))}, nil
}

// Append implements fleet.Frames.
func (r *rig) Append(_ context.Context, frames ...journal.Frame) ([]journal.Appended, error) {
	for _, f := range frames {
		for _, b := range f.Records {
			var e core.Event
			if err := json.Unmarshal(b, &e); err != nil {
				return nil, err
			}
			r.events = append(r.events, e)
		}
	}
	return make([]journal.Appended, len(frames)), nil
}

func each(t *testing.T, body func(t *testing.T, r *rig)) {
	t.Helper()
	storetest.Each(t, []store.Migrations{fleet.Migrations()}, func(t *testing.T, db *store.DB) {
		r := &rig{t: t, db: db, clock: clocktest.New(start)}
		ring, err := crypt.OpenHost(filepath.Join(t.TempDir(), "host"))
		r.must(err)
		facts := func(_ context.Context, _ *store.Tx, e audit.Entry) error {
			r.facts = append(r.facts, e)
			r.log = append(r.log, "fact "+string(e.Action)+" "+e.Object+" "+e.Outcome)
			return nil
		}
		r.reg = fleet.NewRegistry(db, facts, r.clock)
		r.seals = seal.New(seal.Parts{DB: db, Registry: r.reg, Facts: facts, Guard: policy.NewGuard(policy.Default(), r, r.clock), Sealer: ring, Clock: r.clock})
		r.device(press, "active")
		body(t, r)
	})
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) device(id core.DeviceID, identity string) {
	r.t.Helper()
	r.must(r.db.Tx(r.t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(r.t.Context(), `INSERT INTO fleet_devices (tenant, id, site, identity, spki, short_code, protection, serial, token, first_use, enrolled, revision, link, certificate, csr)
			VALUES ($1, $2, $3, $4, '', '', 'software', '', '', 0, 0, 1, 'online', $5, $5)`, tenant, id, site, identity, []byte{})
		return err
	}))
}

// sent carries the events that wait into the journal and returns the last one.
func (r *rig) sent() core.Event {
	r.t.Helper()
	_, err := r.reg.SendAlarms(r.t.Context(), r, 1)
	r.must(err)
	if len(r.events) == 0 {
		return core.Event{}
	}
	return r.events[len(r.events)-1]
}

// picture makes a photo of n's own.
func picture(n int, encode func(*bytes.Buffer, image.Image) error) []byte {
	img := image.NewRGBA(image.Rect(0, 0, 80, 80))
	for x := range 80 {
		img.Set(x, (x*n)%80, color.RGBA{uint8(n), uint8(x), 7, 255})
	}
	var b bytes.Buffer
	if err := encode(&b, img); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func asJPEG(b *bytes.Buffer, img image.Image) error { return jpeg.Encode(b, img, nil) }

func (r *rig) photo(n int) string {
	r.t.Helper()
	p, err := r.seals.AddPhoto(r.t.Context(), otto, picture(n, asJPEG))
	r.must(err)
	return p.Hash
}

// shot is a photo that nobody took before.
func (r *rig) shot() string {
	r.t.Helper()
	r.shots++
	return r.photo(100 + r.shots)
}

func (r *rig) apply(serial string) seal.Seal {
	r.t.Helper()
	s, err := r.seals.Apply(r.t.Context(), otto, seal.Application{ID: serial, Kind: seal.KindTape, Device: press, Place: "lid, left", Photo: r.shot(), EveryDays: 30})
	r.must(err)
	return s
}

// TestALifeOfASeal: applied, looked at, found broken, replaced; at each step the
// permit stands in the log before the fact, and the journal has the event.
func TestALifeOfASeal(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		s := r.apply(" il 00 17 ")
		if s.ID != "IL0017" || s.State != seal.Intact || !s.Due.Equal(start.AddDate(0, 0, 30)) || s.Site != site || s.AppliedBy != "person/otto" {
			t.Fatalf("%+v", s)
		}
		if e := r.sent(); e.Type != seal.TypeApplied || e.Device != press || e.Source != fleet.Source {
			t.Errorf("%+v", e)
		}
		r.clock.Advance(48 * time.Hour)
		s, err := r.seals.Inspect(ctx, otto, seal.Look{Seal: "il0017", Result: seal.ResultOK, Photo: r.photo(2), Note: "clean"})
		r.must(err)
		if s.State != seal.Intact || !s.Inspected.Equal(r.clock.Now()) || !s.Due.Equal(r.clock.Now().AddDate(0, 0, 30)) {
			t.Errorf("%+v", s)
		}
		r.clock.Advance(time.Second)
		s, err = r.seals.Inspect(ctx, otto, seal.Look{Seal: "IL0017", Result: seal.ResultMismatch, Photo: r.photo(3)})
		r.must(err)
		if e := r.sent(); s.State != seal.Mismatch || e.Type != seal.TypeMismatch || e.Severity != core.SeverityHigh {
			t.Errorf("%+v, %+v", s, e)
		}
		if _, err = r.seals.Inspect(ctx, otto, seal.Look{Seal: "IL0017", Result: seal.ResultOK, Photo: r.photo(2)}); core.KindOf(err) != core.KindConflict {
			t.Errorf("a seal that was another one is whole again: %v", err)
		}
		next := seal.Application{ID: "IL0018", Kind: seal.KindTape, Device: press, Place: "lid, left", Photo: r.photo(4), EveryDays: 30}
		ended, err := r.seals.Remove(ctx, otto, "IL0017", "forged", &next)
		r.must(err)
		fresh, err := r.seals.Get(ctx, tenant, "IL0018")
		r.must(err)
		if ended.State != seal.Replaced || ended.ReplacedBy != "IL0018" || fresh.Replaces != "IL0017" || fresh.State != seal.Intact {
			t.Errorf("%+v, then %+v", ended, fresh)
		}
		list, err := r.seals.Inspections(ctx, tenant, "IL0017", 10)
		r.must(err)
		if len(list) != 2 || list[0].Result != seal.ResultMismatch || list[1].Note != "clean" || list[0].By != "person/otto" {
			t.Errorf("%+v", list)
		}
		want := []string{
			"intent seal.apply seal/IL0017", "fact seal.apply seal/IL0017 intact", "intent seal.inspect seal/IL0017", "fact seal.inspect seal/IL0017 intact",
			"fact seal.inspect seal/IL0017 mismatch", "intent seal.remove seal/IL0017", "fact seal.remove seal/IL0017 replaced", "fact seal.apply seal/IL0018 intact",
		}
		at := 0
		for _, line := range r.log {
			if at < len(want) && line == want[at] {
				at++
			}
		}
		if at != len(want) {
			t.Errorf("the log lacks %q or has it too early: %q", want[at], r.log)
		}
	})
}

// TestOverdueIsToldOnce: the day somebody should have looked passes; one event
// until somebody does, then again.
func TestOverdueIsToldOnce(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		sweep := func(want int) {
			t.Helper()
			if n, err := r.seals.Sweep(t.Context()); err != nil || n != want {
				t.Fatalf("%d overdue, %v; want %d", n, err, want)
			}
		}
		r.apply("A1")
		r.clock.Advance(30*24*time.Hour - time.Second)
		sweep(0)
		r.clock.Advance(25 * time.Hour)
		sweep(1)
		if e := r.sent(); e.Type != seal.TypeOverdue || e.Device != press || !bytes.Contains(e.Fields, []byte(`"days_late":1`)) {
			t.Errorf("%+v %s", e, e.Fields)
		}
		sweep(0)
		if wrong, late, err := r.seals.Wanting(t.Context(), tenant); wrong != 0 || late != 1 || err != nil {
			t.Errorf("%d wrong, %d late, %v", wrong, late, err)
		}
		_, err := r.seals.Inspect(t.Context(), otto, seal.Look{Seal: "A1", Result: seal.ResultOK, Photo: r.photo(2)})
		r.must(err)
		sweep(0)
		r.clock.Advance(31 * 24 * time.Hour)
		sweep(1)
		r.clock.Advance(time.Second)
		_, err = r.seals.Inspect(t.Context(), otto, seal.Look{Seal: "A1", Result: seal.ResultMissing})
		r.must(err)
		r.clock.Advance(31 * 24 * time.Hour)
		sweep(0) // what is wrong already is not late as well
		if e := r.sent(); e.Type != seal.TypeMissing {
			t.Errorf("%+v", e)
		}
	})
}

// TestPhotosAreKeptSealed: as they came and encrypted; shown without metadata;
// forgotten when nothing came of them.
func TestPhotosAreKeptSealed(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		whole := withExif(picture(5, asJPEG), 6)
		p, err := r.seals.AddPhoto(ctx, otto, whole)
		r.must(err)
		if _, err := r.seals.AddPhoto(ctx, otto, whole); err != nil {
			t.Error("the same photo again:", err)
		}
		var stored []byte
		r.must(r.db.View(ctx, func(tx *store.Tx) error {
			return tx.QueryRow(ctx, `SELECT body FROM fleet_photos WHERE hash = $1`, p.Hash).Scan(&stored)
		}))
		if bytes.Contains(stored, whole[:64]) || bytes.Contains(stored, []byte(place)) {
			t.Error("a photo is stored in clear")
		}
		kind, shown, err := r.seals.Photo(ctx, tenant, p.Hash)
		r.must(err)
		if kind != "image/jpeg" || bytes.Contains(shown, []byte(place)) {
			t.Errorf("%s tells where the phone was", kind)
		}
		if _, _, err := r.seals.Photo(ctx, other, p.Hash); core.KindOf(err) != core.KindNotFound {
			t.Errorf("another tenant sees it: %v", err)
		}
		r.clock.Advance(25 * time.Hour)
		_, err = r.seals.Sweep(ctx)
		r.must(err)
		if _, _, err := r.seals.Photo(ctx, tenant, p.Hash); core.KindOf(err) != core.KindNotFound {
			t.Errorf("a photo that nothing came of is still there: %v", err)
		}
	})
}

// TestWhatIsRefused: by the Guard, by the form, by what the seal is.
func TestWhatIsRefused(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		r.device(core.MustID[core.DeviceID]("old-1"), "retired")
		r.apply("A1")
		good := seal.Application{ID: "B1", Kind: seal.KindTape, Device: press, Place: "lid", Photo: r.photo(1), EveryDays: 30}
		with := func(change func(*seal.Application)) seal.Application {
			a := good
			change(&a)
			return a
		}
		for name, row := range map[string]struct {
			who  core.Principal
			a    seal.Application
			kind core.Kind
		}{
			"a viewer":             {vera, good, core.KindDenied},
			"another site":         {core.Principal{Kind: core.KindPerson, ID: "x", Tenant: tenant, Roles: []string{core.RoleOperator}}, good, core.KindDenied},
			"a serial twice":       {otto, with(func(a *seal.Application) { a.ID = "a1" }), core.KindConflict},
			"a serial with a path": {otto, with(func(a *seal.Application) { a.ID = "../x" }), core.KindInvalid},
			"no photo":             {otto, with(func(a *seal.Application) { a.Photo = "" }), core.KindInvalid},
			"a photo nobody has":   {otto, with(func(a *seal.Application) { a.Photo = strTimes("ab", 32) }), core.KindNotFound},
			"no place":             {otto, with(func(a *seal.Application) { a.Place = "" }), core.KindInvalid},
			"a place with a line":  {otto, with(func(a *seal.Application) { a.Place = "a\nb" }), core.KindInvalid},
			"never":                {otto, with(func(a *seal.Application) { a.EveryDays = 0 }), core.KindInvalid},
			"an unknown kind":      {otto, with(func(a *seal.Application) { a.Kind = "magic" }), core.KindInvalid},
			"a loop of no sensor":  {otto, with(func(a *seal.Application) { a.Kind = seal.KindElectronic }), core.KindInvalid},
			"tape with a sensor":   {otto, with(func(a *seal.Application) { a.Sensor = "loop" }), core.KindInvalid},
			"no such device":       {otto, with(func(a *seal.Application) { a.Device = core.MustID[core.DeviceID]("press-8") }), core.KindNotFound},
			"a retired device":     {otto, with(func(a *seal.Application) { a.Device = core.MustID[core.DeviceID]("old-1") }), core.KindConflict},
		} {
			if _, err := r.seals.Apply(ctx, row.who, row.a); core.KindOf(err) != row.kind || err == nil {
				t.Errorf("%s: %v, want %s", name, err, row.kind)
			}
		}
		if _, err := r.seals.Remove(ctx, otto, "A1", "", nil); core.KindOf(err) != core.KindInvalid {
			t.Errorf("removed without a reason: %v", err)
		}
		if _, err := r.seals.Remove(ctx, vera, "A1", "gone", nil); core.KindOf(err) != core.KindDenied {
			t.Errorf("removed by a viewer: %v", err)
		}
		if _, err := r.seals.Inspect(ctx, otto, seal.Look{Seal: "A1", Result: seal.ResultOK}); core.KindOf(err) != core.KindInvalid {
			t.Errorf("ok without a photo: %v", err)
		}
		r.clock.Advance(time.Second)
		_, err := r.seals.Remove(ctx, otto, "A1", "machine was rebuilt", nil)
		r.must(err)
		if e := r.sent(); e.Type != seal.TypeRemoved || e.Severity != core.SeverityMedium {
			t.Errorf("%+v", e)
		}
		if _, err := r.seals.Inspect(ctx, otto, seal.Look{Seal: "A1", Result: seal.ResultMissing}); core.KindOf(err) != core.KindConflict {
			t.Errorf("an inspection of what is not there: %v", err)
		}
	})
}

// TestAPhotoShowsOneDay: nobody inspects a seal with the photo of the day on which
// it was applied, with that of another seal, or with the last one again.
func TestAPhotoShowsOneDay(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		first, other, now := r.apply("A"), r.apply("B"), r.shot()
		for name, photo := range map[string]string{"its first": first.Photo, "another seal's": other.Photo} {
			if _, err := r.seals.Inspect(ctx, otto, seal.Look{Seal: "A", Result: seal.ResultOK, Photo: photo}); core.KindOf(err) != core.KindConflict {
				t.Errorf("%s photo: %v", name, err)
			}
		}
		_, err := r.seals.Inspect(ctx, otto, seal.Look{Seal: "A", Result: seal.ResultOK, Photo: now})
		r.must(err)
		if _, err := r.seals.Inspect(ctx, otto, seal.Look{Seal: "A", Result: seal.ResultOK, Photo: now}); core.KindOf(err) != core.KindConflict {
			t.Errorf("the same photo twice: %v", err)
		}
		if _, err := r.seals.Apply(ctx, otto, seal.Application{ID: "C", Kind: seal.KindTape, Device: press, Place: "lid", Photo: now, EveryDays: 30}); core.KindOf(err) != core.KindConflict {
			t.Errorf("a new seal with it: %v", err)
		}
		if _, err := r.seals.Inspect(ctx, otto, seal.Look{Seal: "A", Result: seal.ResultOK, Photo: strings.Repeat("ab", 32)}); core.KindOf(err) != core.KindNotFound {
			t.Errorf("no photo at all: %v", err)
		}
	})
}

// TestTheList: what is wrong first, then by the day it is due, what ended only
// when asked for.
func TestTheList(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		for _, id := range []string{"A", "B", "C", "D"} {
			r.apply(id)
			r.clock.Advance(time.Hour)
		}
		_, err := r.seals.Inspect(ctx, otto, seal.Look{Seal: "C", Result: seal.ResultBroken, Photo: r.shot()})
		r.must(err)
		_, err = r.seals.Inspect(ctx, otto, seal.Look{Seal: "A", Result: seal.ResultOK, Photo: r.shot()})
		r.must(err)
		_, err = r.seals.Remove(ctx, otto, "D", "moved", nil)
		r.must(err)
		ids := func(q seal.Query) (ids []string) {
			q.Limit = 10
			list, total, err := r.seals.List(ctx, tenant, q)
			r.must(err)
			for _, s := range list {
				ids = append(ids, string(s.ID))
			}
			if total != len(list) {
				t.Errorf("%d in all, %d shown", total, len(list))
			}
			return ids
		}
		for _, row := range []struct {
			q    seal.Query
			want []string
		}{
			{seal.Query{}, []string{"C", "B", "A"}},
			{seal.Query{All: true, Device: press}, []string{"C", "B", "A", "D"}},
			{seal.Query{State: seal.Removed}, []string{"D"}},
			{seal.Query{Due: start.AddDate(0, 0, 30).Add(90 * time.Minute)}, []string{"B"}},
			{seal.Query{Device: core.MustID[core.DeviceID]("press-8")}, nil},
		} {
			if got := ids(row.q); !slices.Equal(got, row.want) {
				t.Errorf("%+v: %v, want %v", row.q, got, row.want)
			}
		}
		if list, _, err := r.seals.List(ctx, other, seal.Query{All: true, Limit: 10}); err != nil || len(list) != 0 {
			t.Errorf("another tenant sees %d seals, %v", len(list), err)
		}
	})
}

func strTimes(s string, n int) string { return string(bytes.Repeat([]byte(s), n)) }

const place = "51.0504 N 13.7373 E"

// withExif puts a phone's words into a JPEG.
func withExif(b []byte, up byte) []byte {
	said := append([]byte("Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00"), up, 0, 0, 0, 0, 0, 0)
	said = append(said, place...)
	out := append(bytes.Clone(b[:2]), 0xFF, 0xE1, 0, byte(len(said)+2))
	return append(append(out, said...), b[2:]...)
}

package detect_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/siem/alert"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/rules"
)

var (
	tenant = core.MustID[core.TenantID]("acme")
	begin  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

func sec(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }

// pipe runs both stages over frames given by hand, each frame in a transaction
// as the journal does: what the detect stage publishes is the correlate
// stage's input.
type pipe struct {
	t       *testing.T
	db      *store.DB
	cfg     detect.Config
	detects []journal.Stage
	corr    journal.Stage
	mid     *frames
	out     *frames
	// restart makes new stages before each frame, crash rolls each frame back
	// once before it is let through.
	restart, crash bool
	guesses        int
}

// frames is a topic in memory that forgets what a failed transaction published.
type frames struct {
	at   time.Time
	kept []journal.Frame
}

func (f *frames) Publish(_ context.Context, _ *store.Tx, tenant core.TenantID, records ...[]byte) error {
	f.kept = append(f.kept, journal.Frame{Kind: journal.KindEvents, Tenant: tenant, Received: f.at, Records: records})
	return nil
}

// few are some of the shipped rules: what a test counts must not change with
// every rule that is added.
func few(t *testing.T) (files []rules.File) {
	t.Helper()
	all, err := rules.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"interlock/device_tampered", "linux/sshd_bruteforce_one_account", "linux/sshd_credential_stuffing", "linux/sshd_failed_login"} {
		i := slices.IndexFunc(all, func(f rules.File) bool { return f.Name == name+".yml" })
		if i < 0 {
			t.Fatalf("no rule %s", name)
		}
		files = append(files, all[i])
	}
	return files
}

func newPipe(t *testing.T, db *store.DB, partitions int32) *pipe {
	t.Helper()
	set, err := detect.NewRuleset(few(t))
	if err != nil {
		t.Fatal(err)
	}
	p := &pipe{t: t, db: db, mid: &frames{}, out: &frames{}}
	p.cfg = detect.Config{Initial: set, Partitions: partitions, Normaliser: normalise.New(), Stats: &detect.Stats{}}
	p.renew()
	return p
}

func (p *pipe) renew() {
	p.detects = nil
	for i := range p.cfg.Partitions {
		p.detects = append(p.detects, detect.Stage(p.cfg, nil, i, p.mid))
	}
	p.corr = detect.Correlate(p.cfg, nil, alert.NewStore(p.out))
}

var errCrash = errors.New("crash")

// apply runs one frame through one stage, as journal.Run does.
func (p *pipe) apply(s *journal.Stage, f journal.Frame, topic *frames) {
	p.t.Helper()
	ctx := context.Background()
	topic.at = f.Received
	attempt := func(end error) error {
		before := len(topic.kept)
		err := p.db.Tx(ctx, func(tx *store.Tx) error {
			topic.kept = topic.kept[:before]
			if err := s.Handle(ctx, tx, f); err != nil {
				return err
			}
			return end
		})
		if err != nil {
			topic.kept = topic.kept[:before]
		}
		return err
	}
	if p.crash {
		if err := attempt(errCrash); !errors.Is(err, errCrash) {
			p.t.Fatal(err)
		}
		if err := p.db.Tx(ctx, func(tx *store.Tx) error { return s.Restore(ctx, tx) }); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := attempt(nil); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pipe) feed(fs ...journal.Frame) {
	p.t.Helper()
	for _, f := range fs {
		if p.restart {
			p.renew()
		}
		p.apply(&p.detects[f.Partition], f, p.mid)
		matches := p.mid.kept
		p.mid.kept = nil
		for _, m := range matches {
			p.apply(&p.corr, m, p.out)
		}
	}
}

func (p *pipe) alerts() []alert.Alert {
	p.t.Helper()
	var out []alert.Alert
	err := p.db.View(context.Background(), func(tx *store.Tx) (err error) {
		out, err = alert.List(context.Background(), tx, tenant, alert.Query{})
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

func (p *pipe) windows() (n int) {
	p.t.Helper()
	err := p.db.View(context.Background(), func(tx *store.Tx) error {
		return tx.QueryRow(context.Background(), `SELECT COUNT(*) FROM siem_windows`).Scan(&n)
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

var eventCount int

// login is a failed login as the file collector records it.
func login(at int, user, ip string) []byte {
	eventCount++
	fields := fmt.Sprintf(`{"program":"sshd","pid":"1","message":"Failed password for %s from %s port %d ssh2"}`, user, ip, 1000+eventCount)
	return event(core.Event{
		ID: eventID(eventCount), Time: sec(at), Received: sec(at), Tenant: tenant, Source: "file/auth.log", Provenance: core.ProvenanceLocal,
		Type: "sshd", Severity: core.SeverityInfo, Fields: json.RawMessage(fields),
	})
}

func eventID(n int) core.UUID {
	id, err := core.ParseUUID(fmt.Sprintf("01932d3f-0000-7000-8000-%012d", n))
	if err != nil {
		panic(err)
	}
	return id
}

func event(e core.Event) []byte {
	b, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return b
}

func eventsFrame(part int32, at int, records ...[]byte) journal.Frame {
	return journal.Frame{Partition: part, Kind: journal.KindEvents, Tenant: tenant, Source: "file/auth.log", Received: sec(at), Records: records}
}

func tick(part int32, at int) journal.Frame {
	return journal.Frame{Partition: part, Kind: journal.KindTick, Received: sec(at)}
}

func each(t *testing.T, body func(t *testing.T, db *store.DB)) {
	storetest.Each(t, []store.Migrations{journal.Migrations(), alert.Migrations(), detect.Migrations()}, body)
}

func TestBothEnginesHaveTheSameSchema(t *testing.T) {
	storetest.SameSchema(t, alert.Migrations(), detect.Migrations())
}

// attack is a small journal: a scan that becomes an alert and goes on, a guessed
// password, a case that is opened, ticks between.
func attack() []journal.Frame {
	eventCount = 0
	var out []journal.Frame
	for i := range 14 {
		out = append(out, eventsFrame(0, i, login(i, fmt.Sprint("u", i), "203.0.113.9"), login(i, "root", "198.51.100.7")), tick(0, i))
	}
	eventCount++
	out = append(out, eventsFrame(0, 20, event(core.Event{
		ID: eventID(eventCount), Time: sec(20), Received: sec(20), Tenant: tenant, Source: "device/press-7", Provenance: core.ProvenanceDevice,
		Device: core.MustID[core.DeviceID]("press-7"), Type: "case_intrusion", Severity: core.SeverityHigh, Fields: json.RawMessage(`{"sensor":"lid","state":"alarm"}`),
	})))
	for i := 30; i < 600; i += 30 {
		out = append(out, tick(0, i))
	}
	return out
}

// TestBatchEqualsStream (Y11): the same journal gives the same alerts, byte for
// byte: in one go, with a restart before every frame, with every transaction
// rolled back once, and on either engine.
func TestBatchEqualsStream(t *testing.T) {
	var want []byte
	each(t, func(t *testing.T, db *store.DB) {
		for i, mode := range []string{"one go", "restarts", "crashes"} {
			if i > 0 {
				db = storetest.Open(t, storetest.Config(t, db.Dialect().String()), journal.Migrations(), alert.Migrations(), detect.Migrations())
			}
			p := newPipe(t, db, 1)
			p.restart, p.crash = mode == "restarts", mode == "crashes"
			p.feed(attack()...)
			got, err := json.MarshalIndent(struct {
				Alerts []alert.Alert
				Told   []journal.Frame
			}{p.alerts(), p.out.kept}, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			if want == nil {
				want = got
			}
			if string(got) != string(want) {
				t.Errorf("%s differs:\n%s\nwant\n%s", mode, got, want)
			}
		}
	})
	var first struct{ Alerts []alert.Alert }
	if err := json.Unmarshal(want, &first); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, a := range first.Alerts {
		lines = append(lines, fmt.Sprintf("%s %d %s", a.Rule.Name, a.Count, a.Device))
	}
	if got := strings.Join(lines, ", "); got != "interlock-device-tampered 1 press-7, sshd-credential-stuffing 14 , sshd-bruteforce-one-account 14 " &&
		got != "interlock-device-tampered 1 press-7, sshd-bruteforce-one-account 14 , sshd-credential-stuffing 14 " {
		t.Errorf("alerts: %s", got)
	}
}

func TestDeliveredTwiceCountsOnce(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		p := newPipe(t, db, 1)
		eventCount = 0
		var again []journal.Frame
		for i := range 12 {
			again = append(again, eventsFrame(0, i, login(i, fmt.Sprint("u", i), "203.0.113.9")))
		}
		p.feed(again...)
		p.feed(again...)
		if all := p.alerts(); len(all) != 1 || all[0].Count != 12 {
			t.Errorf("%+v", all)
		}
	})
}

func TestWindowsGoWhenTheLowestWatermarkHasPassed(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		p := newPipe(t, db, 2)
		eventCount = 0
		p.feed(eventsFrame(0, 0, login(0, "root", "203.0.113.9")))
		if n := p.windows(); n != 2 {
			t.Fatalf("%d windows of two correlations", n)
		}
		p.feed(tick(0, 3600))
		if n := p.windows(); n != 2 {
			t.Errorf("%d windows while the other partition has not spoken", n)
		}
		p.feed(tick(1, 100))
		if n := p.windows(); n != 2 {
			t.Errorf("%d windows while the other partition lags", n)
		}
		p.feed(tick(1, 3600))
		if n := p.windows(); n != 0 {
			t.Errorf("%d windows after both have passed", n)
		}
	})
}

func TestWhatIsNoEventIsCountedAndPassedOver(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		p := newPipe(t, db, 1)
		eventCount = 0
		foreign := core.Event{ID: eventID(99), Tenant: core.MustID[core.TenantID]("other"), Received: sec(0), Provenance: core.ProvenanceLocal, Severity: core.SeverityInfo, Fields: json.RawMessage("{}")}
		opaque := foreign
		opaque.Tenant, opaque.ID, opaque.Fields = tenant, eventID(98), json.RawMessage("[]")
		records := [][]byte{[]byte("junk"), []byte("{}"), event(foreign), event(opaque)}
		for i := range 10 {
			records = append(records, login(i, fmt.Sprint("u", i), "203.0.113.9"))
		}
		p.feed(eventsFrame(0, 10, records...))
		if n := len(p.alerts()); n != 1 || p.cfg.Stats.Damaged.Load() != 3 || p.cfg.Stats.Opaque.Load() != 1 {
			t.Errorf("%d alerts, %d damaged, %d opaque", n, p.cfg.Stats.Damaged.Load(), p.cfg.Stats.Opaque.Load())
		}
	})
}

// raw is a journal of one partition in memory.
type raw struct{ frames []journal.Frame }

func (r *raw) Name() string                                { return "raw" }
func (r *raw) Partitions() int32                           { return 1 }
func (r *raw) Wait(context.Context, int32, uint64) error   { return nil }
func (r *raw) Next(context.Context, int32) (uint64, error) { return uint64(len(r.frames)) + 1, nil }

func (r *raw) Read(_ context.Context, _ int32, from uint64, most int) (out []journal.Frame, _ error) {
	for i := max(from, 1); i <= uint64(len(r.frames)) && len(out) < most; i++ {
		f := r.frames[i-1]
		f.Offset = i
		out = append(out, f)
	}
	return out, nil
}

func (r *raw) Append(_ context.Context, fs ...journal.Frame) ([]journal.Appended, error) {
	r.frames = append(r.frames, fs...)
	return make([]journal.Appended, len(fs)), nil
}

// TestAChangeOfRulesIsARecord: the shipped rules are in force until the journal
// says otherwise, in both stages, and after a restart too.
func TestAChangeOfRulesIsARecord(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		p := newPipe(t, db, 1)
		p.restart = true
		files := few(t)
		for i := range files {
			if strings.Contains(files[i].Name, "stuffing") {
				files[i].Text = strings.Replace(files[i].Text, "gte: 10", "gte: 12", 1)
			}
		}
		r := &raw{}
		announce := func() {
			set, err := detect.NewRuleset(files)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := detect.Announce(context.Background(), r, db, set, sec(0)); err != nil {
				t.Fatal(err)
			}
		}
		announce()
		if len(r.frames) != 1 {
			t.Fatalf("%d frames", len(r.frames))
		}
		p.feed(r.frames...)
		announce()
		if len(r.frames) != 1 {
			t.Error("announced again what is in force")
		}
		eventCount = 0
		for i := range 11 {
			p.feed(eventsFrame(0, i, login(i, fmt.Sprint("u", i), "203.0.113.9")))
		}
		if all := p.alerts(); len(all) != 0 {
			t.Errorf("the old threshold is in force: %+v", all)
		}
		p.feed(eventsFrame(0, 11, login(11, "u11", "203.0.113.9")))
		if all := p.alerts(); len(all) != 1 || all[0].Count != 12 {
			t.Errorf("the new threshold is not: %+v", all)
		}
	})
}

func TestRulesThatDoNotCompileAreNoSet(t *testing.T) {
	_, err := detect.NewRuleset([]rules.File{{Name: "x.yml", Text: "title: T\nfoo: 1\n"}})
	if err == nil || !strings.Contains(err.Error(), "x.yml:1:1") || core.KindOf(err) != core.KindInvalid {
		t.Errorf("%v", err)
	}
}

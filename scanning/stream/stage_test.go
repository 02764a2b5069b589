package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/standard"
)

// taken is a sink that keeps what it gets.
type taken struct {
	reports []scanning.Report
	err     error
}

func (s *taken) Take(_ context.Context, _ *store.Tx, _ core.TenantID, r scanning.Report) error {
	s.reports = append(s.reports, r)
	return s.err
}

func (s *taken) findings() (out []scanning.Finding) {
	for _, r := range s.reports {
		out = append(out, r.Findings...)
	}
	return out
}

func detector() (Detector, error) {
	c := standard.Config()
	c.Decode = 1
	return detect.New(c)
}

// rig feeds a stage.
type rig struct {
	t     testing.TB
	sink  *taken
	stage journal.Stage
	frame journal.Frame
}

func newRig(t testing.TB) *rig {
	t.Helper()
	sink := new(taken)
	return &rig{t, sink, Stage(nil, 0, detector, sink), journal.Frame{Kind: journal.KindEvents, Source: "syslog/web1", Received: time.Date(2026, 3, 1, 12, 5, 0, 0, time.UTC)}}
}

func (r *rig) feed(records ...string) {
	r.t.Helper()
	r.frame.Records = nil
	for _, s := range records {
		r.frame.Records = append(r.frame.Records, []byte(s))
	}
	r.frame.Offset++
	if err := r.stage.Handle(context.Background(), nil, r.frame); err != nil {
		r.t.Fatal(err)
	}
}

// password makes a value that no list knows.
func password(n int) string { return fmt.Sprintf("vQ7%dzKx9Lm%dT", n, n*7919) }

func line(n int) string {
	return fmt.Sprintf(`{"time":"2026-03-01T12:%02d:00Z","pid":%d,"message":"connecting with DB_PASS`+`WORD=%s"}`, n%60, n, password(n))
}

func TestASecretInALogIsAFindingOfItsSource(t *testing.T) {
	r := newRig(t)
	r.feed(`{"message":"nothing to see"}`, "two\nlines", line(1))
	found := r.sink.findings()
	if len(found) != 1 {
		t.Fatalf("%d findings, want 1", len(found))
	}
	f, scope := found[0], r.sink.reports[0].Scope
	if f.Location.File != "syslog/web1" || scope.Name != "syslog/web1" || scope.Kind != scanning.ScopeStream || f.Class != scanning.ClassSecret || f.Fingerprint == "" {
		t.Errorf("finding %+v of %+v", f, scope)
	}
	if f.Detail != "event 2 of journal offset 0/1" {
		t.Errorf("its place is %q", f.Detail)
	}
	if strings.Contains(fmt.Sprintf("%+v", r.sink.reports), password(1)) {
		t.Error("the report holds the secret")
	}
	if len(scope.Excluded) != 1 || scope.Excluded[0] != "*" {
		t.Error("the report could prove that something is fixed")
	}
}

func TestTheSameLeakIsToldOnceAnHour(t *testing.T) {
	r := newRig(t)
	for n := range 30 {
		r.feed(line(n)) // another time, process and password each
	}
	if n := len(r.sink.findings()); n != 1 {
		t.Errorf("%d findings of one kind of line, want 1", n)
	}
	r.frame.Received = r.frame.Received.Add(Again)
	r.feed(line(40))
	if found := r.sink.findings(); len(found) != 2 || found[0].Fingerprint != found[1].Fingerprint {
		t.Errorf("after an hour there are %d findings, want the same one again", len(found))
	}
	r.frame.Source = "syslog/web2"
	r.feed(line(41))
	if found := r.sink.findings(); len(found) != 3 || found[2].Fingerprint == found[0].Fingerprint {
		t.Error("another source is not another finding")
	}
}

func TestAFloodIsBoundedAndSaid(t *testing.T) {
	r := newRig(t)
	for n := range 3 * PerHour {
		r.feed(strings.Replace(line(n), "connecting", "from "+strings.Repeat("x", n+1)+" connecting", 1))
	}
	gaps := 0
	for _, report := range r.sink.reports {
		gaps += len(report.Gaps)
	}
	if n := len(r.sink.findings()); n != PerHour || gaps != 1 {
		t.Errorf("%d findings and %d gaps, want %d and 1", n, gaps, PerHour)
	}
}

func TestItsOwnWordsAndTicksAreNotRead(t *testing.T) {
	r := newRig(t)
	for _, source := range []string{"server", "rules/import"} {
		r.frame.Source = source
		r.feed(line(1))
	}
	r.frame.Source, r.frame.Kind = "syslog/web1", journal.KindTick
	r.feed()
	if len(r.sink.reports) != 0 {
		t.Errorf("reports %v", r.sink.reports)
	}
}

func TestAFailedTellingIsToldAgain(t *testing.T) {
	r := newRig(t)
	r.sink.err = errors.New("the database is away")
	r.frame.Records = [][]byte{[]byte(line(1))}
	if err := r.stage.Handle(context.Background(), nil, r.frame); err == nil {
		t.Fatal("the failure was lost")
	}
	if err := r.stage.Restore(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	r.sink.err = nil
	r.feed(line(1))
	if n := len(r.sink.findings()); n != 2 {
		t.Errorf("told %d times, want 2", n)
	}
	broken := Stage(nil, 0, func() (Detector, error) { return nil, errors.New("no rules") }, r.sink)
	if err := broken.Handle(context.Background(), nil, r.frame); err == nil {
		t.Error("a detector that can't be made is no error")
	}
}

// BenchmarkEvents tells what an event costs.
func BenchmarkEvents(b *testing.B) {
	r := newRig(b)
	var records [][]byte
	for n := range 500 {
		records = append(records, fmt.Appendf(nil, `{"time":"2026-03-01T12:%02d:00Z","host":"web%d","program":"sshd","pid":%d,"message":"Accepted publickey for deploy from 10.1.2.%d port %d ssh2: ED25519 SHA256:abc"}`, n%60, n%7, n, n%255, 40000+n))
	}
	r.frame.Records = records
	before := clocktest.CPU(b)
	b.ResetTimer()
	for range b.N {
		if err := r.stage.Handle(context.Background(), nil, r.frame); err != nil {
			b.Fatal(err)
		}
	}
	cpu := clocktest.CPU(b) - before
	b.ReportMetric(float64(cpu.Nanoseconds())/float64(b.N*len(records)), "cpu-ns/event")
}

// TestAWordInAnEventExcusesNothing, as it does in a file that people look after.
func TestAWordInAnEventExcusesNothing(t *testing.T) {
	d, err := detect.New(Config())
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	line := "login with DB_PASS" + "WORD=vQ7d1f0c2a9Zx9K # gitleaks" + ":allow"
	d.Scan(detect.Text{Body: []byte(line)}, func(*detect.Leak) { found++ })
	if found != 1 {
		t.Errorf("%d leaks, want 1", found)
	}
}

// TestNothingInAnEventIsASample: a program wrote it while it ran, whatever it is called.
func TestNothingInAnEventIsASample(t *testing.T) {
	sink := new(taken)
	stage := Stage(nil, 0, func() (Detector, error) { return detect.New(Config()) }, sink)
	line := "# e.g. connecting to mysql://test" + ":zebra" + "fish@db/shop"
	frame := journal.Frame{Kind: journal.KindEvents, Source: "syslog/web1", Records: [][]byte{[]byte(line)}}
	if err := stage.Handle(context.Background(), nil, frame); err != nil {
		t.Fatal(err)
	}
	if found := sink.findings(); len(found) != 1 || found[0].Severity != core.SeverityHigh {
		t.Errorf("found %+v, want one of severity high", found)
	}
}

package detect_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/siem/alert"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/rules"
	"github.com/interlock-security/interlock/siem/sigma/corpustest"
)

const (
	idLogin    = "7c3b0b06-6d0d-4a7e-9a59-0b2f0f3b5a10"
	filterText = `title: Not our scanner
id: 5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a3d01
owner: anna
reason: our scanner
expires: 2030-01-01
logsource:
  product: linux
  service: sshd
filter:
  rules:
    - sshd-failed-login
  selection:
    src_endpoint.ip: 203.0.113.9
  condition: not selection
`
)

// idOf finds a rule's id by its name.
func idOf(t *testing.T, set *detect.Ruleset, name string) string {
	t.Helper()
	for _, r := range set.Rules {
		if r.Name == name {
			return r.ID
		}
	}
	t.Fatalf("no rule %s", name)
	return ""
}

func names(list []alert.Alert) string {
	var out []string
	for _, a := range list {
		out = append(out, fmt.Sprintf("%s %d", a.Rule.Name, a.Count))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// TestTuningSilencesWhatItNamesAndNothingElse: disabling a rule never lets loose
// the alerts of those that only fed it, and never blinds a correlation.
func TestTuningSilencesWhatItNamesAndNothingElse(t *testing.T) {
	plain, err := detect.NewRuleset(few(t))
	if err != nil {
		t.Fatal(err)
	}
	id := func(name string) string { return idOf(t, plain, name) }
	j := journalOf(t, 1, attack()...)
	for name, c := range map[string]struct {
		tuning detect.Tuning
		want   string
	}{
		"nothing":       {detect.Tuning{}, "interlock-device-tampered 1, sshd-bruteforce-one-account 14, sshd-credential-stuffing 14"},
		"a detection":   {detect.Tuning{Disabled: []string{id("interlock-device-tampered")}}, "sshd-bruteforce-one-account 14, sshd-credential-stuffing 14"},
		"a correlation": {detect.Tuning{Disabled: []string{id("sshd-credential-stuffing")}}, "interlock-device-tampered 1, sshd-bruteforce-one-account 14"},
		"both that count": {
			detect.Tuning{Disabled: []string{id("sshd-credential-stuffing"), id("sshd-bruteforce-one-account")}}, "interlock-device-tampered 1",
		},
		"what is counted": {
			detect.Tuning{Disabled: []string{id("sshd-failed-login")}}, "interlock-device-tampered 1, sshd-bruteforce-one-account 14, sshd-credential-stuffing 14",
		},
		"a stranger": {
			detect.Tuning{Disabled: []string{"5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a3dff"}}, "interlock-device-tampered 1, sshd-bruteforce-one-account 14, sshd-credential-stuffing 14",
		},
		"an exclusion": {
			detect.Tuning{Exclusions: []rules.File{{Name: "x.yml", Text: filterText}}}, "interlock-device-tampered 1, sshd-bruteforce-one-account 14",
		},
		"an exclusion that is over": {
			detect.Tuning{Exclusions: []rules.File{{Name: "x.yml", Text: filterText}}, Disabled: []string{"5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a3d01"}},
			"interlock-device-tampered 1, sshd-bruteforce-one-account 14, sshd-credential-stuffing 14",
		},
	} {
		set, err := detect.NewTuned(few(t), c.tuning)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		list, err := detect.Replay(t.Context(), j, detect.Span{}, set)
		if got := names(list); err != nil || got != c.want {
			t.Errorf("%s: %s, %v; want %s", name, got, err, c.want)
		}
		if strange := name == "a stranger"; strange != (len(set.Strangers) == 1) {
			t.Errorf("%s: strangers %v", name, set.Strangers)
		}
	}
}

// TestTuningIsPartOfTheRecord: the record that puts rules in force carries the
// tuning, so that a replay is tuned as the day was; the same tuning in another
// order is the same set.
func TestTuningIsPartOfTheRecord(t *testing.T) {
	a := detect.Tuning{Disabled: []string{"B" + idLogin[1:], idLogin}, Exclusions: []rules.File{{Name: "x.yml", Text: filterText}}}
	b := detect.Tuning{Disabled: []string{idLogin, strings.ToLower("B" + idLogin[1:]), idLogin}, Exclusions: a.Exclusions}
	one, err := detect.NewTuned(few(t), a)
	if err != nil {
		t.Fatal(err)
	}
	two, err := detect.NewTuned(few(t), b)
	if err != nil || one.Hash != two.Hash {
		t.Errorf("%v: %s and %s", err, one.Hash, two.Hash)
	}
	plain, err := detect.NewRuleset(few(t))
	if err != nil || plain.Hash == one.Hash {
		t.Errorf("%v: tuned and not have one hash", err)
	}
	each(t, func(t *testing.T, db *store.DB) {
		r := &raw{}
		tuned, err := detect.NewTuned(few(t), detect.Tuning{Exclusions: a.Exclusions})
		if err != nil {
			t.Fatal(err)
		}
		if done, err := detect.Announce(t.Context(), r, db, tuned, sec(0)); err != nil || !done {
			t.Fatal(done, err)
		}
		p := newPipe(t, db, 1)
		p.restart = true
		p.feed(append(r.frames, attack()...)...)
		if got := names(p.alerts()); got != "interlock-device-tampered 1, sshd-bruteforce-one-account 14" {
			t.Error(got)
		}
	})
}

func TestTheLibraryCompilesOnce(t *testing.T) {
	var l detect.Library
	one, err := l.Compile(few(t), detect.Tuning{})
	if err != nil {
		t.Fatal(err)
	}
	two, err := l.Compile(few(t), detect.Tuning{})
	if err != nil || one != two {
		t.Errorf("%v: the same set twice", err)
	}
	for i := range 8 {
		if _, err := l.Compile(few(t), detect.Tuning{Disabled: []string{fmt.Sprintf("5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a3d%02d", i)}}); err != nil {
			t.Fatal(err)
		}
	}
	if three, err := l.Compile(few(t), detect.Tuning{}); err != nil || three == one || three.Hash != one.Hash {
		t.Errorf("%v: a set that was forgotten is compiled anew", err)
	}
}

func TestComparingTellsWhatGoesAndWhatComes(t *testing.T) {
	before, err := detect.NewRuleset(few(t))
	if err != nil {
		t.Fatal(err)
	}
	after, err := detect.NewTuned(few(t), detect.Tuning{Exclusions: []rules.File{{Name: "x.yml", Text: filterText}}})
	if err != nil {
		t.Fatal(err)
	}
	j := journalOf(t, 1, attack()...)
	c, err := detect.Compare(t.Context(), j, detect.Span{}, before, after, nil)
	if err != nil || !c.Complete || c.Events != 29 || c.AlertsBefore != 3 || c.AlertsAfter != 2 || len(c.Added) != 0 || len(c.Rules) != 1 {
		t.Fatalf("%v: %+v", err, c)
	}
	x := c.Removed[0]
	if d := c.Rules[0]; d.Name != "sshd-credential-stuffing" || d.Removed != 1 || d.RemovedEvents != 14 || x.Count != 14 || x.Author != "Interlock" || x.Link == "" || len(x.Events) != 3 {
		t.Errorf("%+v, %+v", d, x)
	}
	back, err := detect.Compare(t.Context(), j, detect.Span{}, after, before, nil)
	if err != nil || len(back.Removed) != 0 || len(back.Added) != 1 || back.Rules[0].Added != 1 {
		t.Errorf("%v: the other way %+v", err, back)
	}
	same, err := detect.Compare(t.Context(), j, detect.Span{}, before, before, nil)
	if err != nil || len(same.Rules) != 0 {
		t.Errorf("%v: with itself %+v", err, same)
	}
}

func TestComparingCanBeEnded(t *testing.T) {
	set, err := detect.NewRuleset(few(t))
	if err != nil {
		t.Fatal(err)
	}
	eventCount = 0
	var frames []journal.Frame
	for i := range 200 {
		frames = append(frames, eventsFrame(0, i, login(i, "u", "192.0.2.1")))
	}
	j := journalOf(t, 1, frames...)
	var last detect.Progress
	c, err := detect.Compare(t.Context(), j, detect.Span{}, set, set, func(p detect.Progress) bool {
		last = p
		return p.Events < 100
	})
	if err != nil || c.Complete || c.Events >= 200 || last.At.IsZero() {
		t.Errorf("%v: %+v after %+v", err, c, last)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := detect.Compare(ctx, j, detect.Span{}, set, set, nil); err == nil {
		t.Error("it went on after its end")
	}
}

// TestLossIsTold: a correlation that has no room says so, in the transaction, and
// not once for each event.
func TestLossIsTold(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		p := newPipe(t, db, 1)
		var told []detect.Loss
		fail := true
		p.cfg.Memory = 1 << 16
		p.cfg.Lost = func(_ context.Context, _ *store.Tx, l detect.Loss) error {
			if fail {
				fail = false
				return errors.New("not now")
			}
			told = append(told, l)
			return nil
		}
		p.renew()
		eventCount = 0
		for i := range 600 {
			p.feed(eventsFrame(0, i/10, login(i/10, fmt.Sprint("user", i), fmt.Sprintf("198.51.%d.%d", i/200, i%200))))
		}
		failing := func(at int) error {
			p.mid.at = sec(at)
			err := p.db.Tx(t.Context(), func(tx *store.Tx) error { return p.detects[0].Handle(t.Context(), tx, tick(0, at)) })
			if err != nil {
				t.Fatal(err)
			}
			f := p.mid.kept[0]
			p.mid.kept = nil
			if err := p.db.Tx(t.Context(), func(tx *store.Tx) error { return p.corr.Handle(t.Context(), tx, f) }); err == nil {
				return errors.New("the error was not returned")
			}
			return p.db.Tx(t.Context(), func(tx *store.Tx) error { return p.corr.Restore(t.Context(), tx) })
		}
		if err := failing(61); err != nil {
			t.Fatal(err)
		}
		p.feed(tick(0, 62), tick(0, 63), tick(0, 64))
		if len(told) == 0 || told[0].Groups == 0 || told[0].Rule.Title == "" {
			t.Fatalf("told %+v", told)
		}
		rulesTold := map[string]int{}
		for _, l := range told {
			rulesTold[l.Rule.Name]++
		}
		for name, n := range rulesTold {
			if n > 1 {
				t.Errorf("%s was told %d times within seconds", name, n)
			}
		}
		if s := p.cfg.Stats.Correlations.Load(); s == nil || s.Bytes > 1<<16 {
			t.Errorf("statistics %+v", s)
		}
	})
}

// TestWindowsEventsFindTheirRules: what the normaliser has not seen is told apart
// by its fields.
func TestWindowsEventsFindTheirRules(t *testing.T) {
	set, err := detect.NewRuleset([]rules.File{{Name: "w.yml", Text: "title: W\nid: 5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a3d10\nname: w\nauthor: A\nlevel: high\n" +
		"logsource:\n  product: windows\n  category: process_creation\ndetection:\n  selection:\n    Image|endswith: '\\evil.exe'\n  condition: selection\n"}})
	if err != nil {
		t.Fatal(err)
	}
	eventCount = 1
	e := core.Event{
		ID: eventID(1), Time: sec(0), Received: sec(0), Tenant: tenant, Source: "file/forwarded.ndjson", Provenance: core.ProvenanceLocal, Type: "json", Severity: core.SeverityInfo,
		Fields: []byte(`{"Channel":"Microsoft-Windows-Sysmon/Operational","Provider_Name":"Microsoft-Windows-Sysmon","EventID":1,"Image":"C:\\Temp\\evil.exe"}`),
	}
	list, err := detect.Replay(t.Context(), journalOf(t, 1, eventsFrame(0, 0, event(e))), detect.Span{}, set)
	if got := names(list); err != nil || got != "w 1" {
		t.Errorf("%v: %q", err, got)
	}
}

// TestAFolderOfThousands: all that SigmaHQ publishes, as a site's own rules, beside
// the shipped ones: it compiles, its record fits a frame, and both stages take it.
func TestAFolderOfThousands(t *testing.T) {
	files := sigmaHQ(t)
	shipped, err := rules.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	all, _, err := detect.Overlay(shipped, files)
	if err != nil {
		t.Fatal(err)
	}
	set, err := detect.NewRuleset(all)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Rules) < 3700 {
		t.Errorf("%d rules", len(set.Rules))
	}
	db := storetest.Open(t, storetest.Config(t, "sqlite"), journal.Migrations(), alert.Migrations(), detect.Migrations())
	j := journalOf(t, 1)
	if _, err := detect.Announce(t.Context(), j, db, set, sec(0)); err != nil {
		t.Fatal(err)
	}
	frames, err := j.Read(t.Context(), 0, 1, 1)
	if err != nil || len(frames) != 1 {
		t.Fatal(err)
	}
	if n := len(frames[0].Records[0]); n > journal.MaxFrameBytes/3 {
		t.Errorf("the record has %d bytes of at most %d", n, journal.MaxFrameBytes)
	}
	p := newPipe(t, db, 1)
	p.cfg.Library = new(detect.Library)
	p.cfg.Library.Keep(set)
	p.renew()
	p.feed(frames...)
	p.feed(attack()...)
	if got := names(p.alerts()); !strings.Contains(got, "sshd-credential-stuffing 14") {
		t.Error(got)
	}
}

// sigmaHQ is the public rule set, linked to where it is published.
func sigmaHQ(t *testing.T) (files []rules.File) {
	t.Helper()
	for _, f := range corpustest.Rules(t) {
		files = append(files, rules.File{Name: f.Name, Text: string(f.Text), Link: "https://github.com/SigmaHQ/sigma/blob/master"})
	}
	return files
}

package playbook_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/response/incident"
	"github.com/interlock-security/interlock/response/playbook"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s differs (%v), it is now:\n%s", path, err, got)
	}
}

// TestTheShippedPlaybooks pins what the product does without a person: every
// change of it is seen in review. The version rises with every change of the
// text, and the digest with every byte.
func TestTheShippedPlaybooks(t *testing.T) {
	books, err := playbook.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	if len(books) != 1 {
		t.Errorf("%d playbooks are shipped; each needs its golden file", len(books))
	}
	for id, text := range books {
		p, err := playbook.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.MarshalIndent(p, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, id+".json", append(got, '\n'))
	}
}

// TestNoShippedPlaybookActsOnUnauthenticatedEvidence (TRUST F17): the trigger of
// every shipped playbook, replayed from a source that proved nothing.
func TestNoShippedPlaybookActsOnUnauthenticatedEvidence(t *testing.T) {
	books, err := playbook.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range books {
		p, err := playbook.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, rule := range p.Trigger.Rules {
			for _, from := range append([]core.Provenance{"", "future"}, core.Provenances...) {
				in := incident.Incident{Rule: rule, Device: press, Subject: "device/press-7", Provenance: from}
				if alone, _ := p.Alone(in); alone != (from == core.ProvenanceDevice) {
					t.Errorf("%s on %q evidence: alone %v", p.ID, from, alone)
				}
				in.Subject = "device/press-8"
				if alone, _ := p.Alone(in); alone {
					t.Errorf("%s acts on press-7 for what was said of press-8", p.ID)
				}
			}
		}
	}
}

const sample = `id: sample
version: 1
title: A sample
trigger:
  rules: [some-rule]
  provenance: [device-signed]
steps:
  - id: contain
    do: quarantine
    reason: because
    timeout: 10m
    before: [triaged]
    after: [contained]
  - id: release
    do: release
    reason: look at it
    timeout: 1h
    before: [eradicating]
    after: [recovering]
  - id: check
    do: verify
    timeout: 1h
    before: [verifying]
    checks: [latches-clear]
`

func TestParseRefusesWhatCouldHarm(t *testing.T) {
	if _, err := playbook.Parse([]byte(sample)); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		old, new string
		says     string
	}{
		"an unknown key":                  {"title:", "titel:", "titel"},
		"a key twice":                     {"version: 1", "version: 1\nversion: 2", "version"},
		"a key in another case":           {"version: 1", "Version: 1", "Version"},
		"no version":                      {"version: 1", "version: 0", "starts at 1"},
		"an id that is a path":            {"id: sample", "id: ../../etc", "id:"},
		"no rule":                         {"[some-rule]", "[]", "names no rule"},
		"an empty rule":                   {"[some-rule]", `[""]`, "or an empty one"},
		"no provenance":                   {"[device-signed]", "[]", "names no provenance"},
		"an unauthenticated provenance":   {"[device-signed]", "[device-signed, unauthenticated]", "does not start anything without a person"},
		"a provenance that there is not":  {"[device-signed]", "[device]", "device"},
		"an action that there is not":     {"do: quarantine", "do: shell", "there is no action \"shell\""},
		"an action that destroys":         {"do: quarantine", "do: zeroize", "there is no action"},
		"a step id twice":                 {"id: release", "id: contain", "is used twice"},
		"a step id that is no word":       {"id: release", "id: re lease", "id:"},
		"no timeout":                      {"    timeout: 10m\n", "", "timeout is 0s"},
		"a timeout of weeks":              {"timeout: 10m", "timeout: 200h", "allowed is up to 168h"},
		"a timeout below zero":            {"timeout: 10m", "timeout: -1s", "timeout is -1s"},
		"a timeout without a unit":        {"timeout: 10m", "timeout: often", "often"},
		"retries without end":             {"timeout: 10m", "timeout: 10m\n    retries: 11", "11 retries"},
		"retries below zero":              {"timeout: 10m", "timeout: 10m\n    retries: -1", "-1 retries"},
		"an order without a reason":       {"    reason: because\n", "", "the reason has 0 bytes"},
		"a reason of a page":              {"because", strings.Repeat("b", 501), "the reason has 501 bytes"},
		"a target of its own":             {"timeout: 10m", "timeout: 10m\n    device: press-8", "device"},
		"checks in an action":             {"timeout: 10m", "timeout: 10m\n    checks: [latches-clear]", "checks belong to verify"},
		"verify without checks":           {"checks: [latches-clear]", "checks: []", "would pass by default"},
		"a check that there is not":       {"[latches-clear]", "[looks-fine]", "there is no check \"looks-fine\""},
		"verify that says what follows":   {"checks: [latches-clear]", "checks: [latches-clear]\n    after: [verifying]", "decided by its verdict"},
		"closing without verification":    {"after: [recovering]", "after: [recovering, closed]", "\"closed\""},
		"a state out of order":            {"before: [triaged]\n    after: [contained]", "before: [contained]\n    after: [triaged]", "takes the incident to \"contained\""},
		"a state twice":                   {"before: [eradicating]", "before: [contained, eradicating]", "takes the incident to \"contained\""},
		"a state left out":                {"    before: [eradicating]\n", "", "takes the incident to \"recovering\""},
		"states that stop early":          {"    before: [verifying]\n", "", "before it can be closed"},
		"no step":                         {sample[strings.Index(sample, "steps:"):], "steps: []\n", "has 0 steps"},
		"no verify at the end":            {sample[strings.Index(sample, "  - id: check"):], "", "ends with verify"},
		"verify in the middle":            {"do: release\n    reason: look at it\n    timeout: 1h\n    before: [eradicating]\n    after: [recovering]", "do: verify\n    timeout: 1h\n    before: [eradicating]\n    checks: [latches-clear]", "has no other"},
		"verifying before the last step":  {"after: [recovering]", "after: [recovering, verifying]", "takes the incident to \"verifying\""},
		"what belongs to verify, earlier": {"after: [recovering]\n  - id: check\n    do: verify\n    timeout: 1h\n    before: [verifying]", "after: [recovering, verifying]\n  - id: check\n    do: verify\n    timeout: 1h", "belongs to the step that verifies"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(sample, row.old) {
				t.Fatalf("the sample holds no %q", row.old)
			}
			_, err := playbook.Parse([]byte(strings.Replace(sample, row.old, row.new, 1)))
			if core.KindOf(err) != core.KindInvalid || !strings.Contains(err.Error(), row.says) {
				t.Errorf("%v (%s); want it to say %q", err, core.KindOf(err), row.says)
			}
		})
	}
	if _, err := playbook.Parse([]byte(sample + strings.Repeat("# long\n", 10_000))); core.KindOf(err) != core.KindTooLarge {
		t.Errorf("over the limit: %v", err)
	}
}

func TestAnEngineReadsItsBooksStrictly(t *testing.T) {
	for name, books := range map[string]map[string][]byte{
		"a book that does not parse":       {"sample": []byte("id: sample\n")},
		"a book under another book's name": {"other": []byte(sample)},
	} {
		if _, err := playbook.NewEngine(playbook.Parts{Books: books}); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzParse: a playbook that is read keeps every rule of the house, whatever its
// bytes.
func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("id: sample\nsteps: [{do: verify}]\n"))
	f.Add([]byte("&a [*a]"))
	books, err := playbook.Builtin()
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range books {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := playbook.Parse(text)
		if err != nil {
			return
		}
		if last := p.Steps[len(p.Steps)-1]; last.Do != playbook.DoVerify || len(last.Checks) == 0 || p.Version < 1 || len(p.Trigger.Rules) == 0 {
			t.Errorf("read %+v", p)
		}
		for _, from := range p.Trigger.Provenance {
			if !from.Authenticated() {
				t.Errorf("%s starts it", from)
			}
		}
	})
}

// TestDryRun tells what would happen without doing it.
func TestDryRun(t *testing.T) {
	for name, row := range map[string]struct {
		device func(*machine)
		in     func(*incident.Incident)
	}{
		"plain":          {},
		"simulated":      {in: func(in *incident.Incident) { in.Simulated = true }},
		"offline":        {device: func(m *machine) { m.Link = core.DeviceOffline }},
		"retired":        {device: func(m *machine) { m.Identity = fleet.IdentityRetired }},
		"never-reported": {device: func(m *machine) { m.Known.Epoch = "" }},
		"site-unknown":   {device: func(m *machine) { m.Site = core.SiteID{} }},
		"closed":         {in: func(in *incident.Incident) { in.State = incident.StateClosed }},
		"no-device":      {in: func(in *incident.Incident) { in.Device, in.Subject = core.DeviceID{}, "source/syslog/10.0.0.9" }},
		"other-rule":     {in: func(in *incident.Incident) { in.Rule = "credential-stuffing" }},
	} {
		t.Run(name, func(t *testing.T) {
			lite(t, func(w *world) {
				in := w.take(alertOf(press, false))
				if row.device != nil {
					w.device(press, row.device)
				}
				if row.in != nil {
					row.in(&in)
				}
				before := len(w.intents)
				lines, err := w.engine.DryRun(t.Context(), in)
				w.must(err)
				golden(t, "dryrun-"+name+".txt", []byte(strings.Join(lines, "\n")+"\n"))
				if len(w.intents) != before || w.made() != 0 || w.guard.Caps().Used(core.Principal{Kind: core.KindService, ID: "playbook", Tenant: tenant}) != 0 {
					t.Error("a dry run left something behind")
				}
			})
		})
	}
}

package detect_test

import (
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/rules"
)

// TestPlaceholdersTravelWithTheRules: a site's values are in the record that puts
// rules in force, so that a replay asks what was asked then.
func TestPlaceholdersTravelWithTheRules(t *testing.T) {
	files := []rules.File{{Name: "x.yml", Text: "title: T\nid: 5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a3d77\nauthor: A\nlevel: high\nlogsource:\n  product: linux\n  service: sshd\ndetection:\n  s:\n    message|contains|expand: '%admins%'\n  condition: s\n"}}
	with := func(names ...string) *detect.Ruleset {
		set, err := detect.NewTuned(files, detect.Tuning{Placeholders: map[string][]string{"admins": names}})
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	none, err := detect.NewRuleset(files)
	if err != nil {
		t.Fatal(err)
	}
	anna := with("anna")
	if anna.Hash == none.Hash || anna.Hash == with("bert").Hash || anna.Hash != with("anna").Hash {
		t.Error("the values are not in the hash")
	}
	log := &raw{}
	db := storetest.Open(t, storetest.Config(t, "sqlite"), journal.Migrations(), detect.Migrations())
	if _, err := detect.Announce(t.Context(), log, db, anna, sec(0)); err != nil {
		t.Fatal(err)
	}
	eventCount = 0
	r := detect.NewReplayer(none, 1)
	r.Follow = true
	for _, f := range append([]journal.Frame{eventsFrame(0, 0, login(0, "anna", "192.0.2.1")), log.frames[0]}, eventsFrame(0, 1, login(1, "anna", "192.0.2.1"), login(1, "bert", "192.0.2.1"))) {
		if err := r.Take(f); err != nil {
			t.Fatal(err)
		}
	}
	if all := r.Alerts(); len(all) != 1 || all[0].Count != 1 || all[0].Severity != core.SeverityHigh {
		t.Errorf("%+v", all)
	}
}

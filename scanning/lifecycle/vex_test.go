package lifecycle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/lifecycle"
	"github.com/interlock-security/interlock/scanning/vex"
)

// acme is whose word counts in these tests.
var acme = []vex.Author{{Name: "Acme PSIRT"}}

func statement(status vex.Status, at time.Time, names ...string) *vex.Document {
	d := &vex.Document{Format: "OpenVEX", ID: "https://acme.example/vex/1", Author: "Acme PSIRT", Issued: at, Updated: at}
	for _, n := range names {
		s := vex.Statement{
			Vulnerability: n, Products: []vex.Product{{PURL: "pkg:golang/example.com/a@v1.0.0"}}, Status: status, At: at, Author: d.Author, Document: d.ID,
		}
		if status == vex.NotAffected {
			s.Justification, s.Impact = "vulnerable_code_not_present", "it is not linked in"
		}
		d.Statements = append(d.Statements, s)
	}
	return d
}

func (w *world) says(d *vex.Document) lifecycle.VEXTaken {
	w.t.Helper()
	w.now = w.now.Add(time.Minute)
	t, err := w.saysFrom(d, "upload")
	w.must(err)
	return t
}

func (w *world) saysFrom(d *vex.Document, source string) (t lifecycle.VEXTaken, err error) {
	err = w.tx(func(tx *store.Tx) (err error) {
		t, err = w.store.TakeVEX(w.t.Context(), tx, tenant, d, source, lifecycle.Change{By: person("anna"), At: w.now})
		return err
	})
	return t, err
}

// TestAStatementThatCountsClosesAndOpens: in its author's name, with its words, for
// as long as it says so.
func TestAStatementThatCountsClosesAndOpens(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.store.Trusting(acme)
		found := vuln("GO-2026-1", "example.com/a", func(f *scanning.Finding) { f.Aliases = []string{"CVE-2026-1"} })
		id := w.take(w.report(nil, found, vuln("CVE-2026-2", "example.com/a", nil))).New[0]
		doc := statement(vex.NotAffected, start, "CVE-2026-1")
		got := w.says(doc)
		if !got.Trusted || len(got.NotAffected) != 1 || len(got.Ignored) != 0 {
			t.Errorf("%+v", got)
		}
		f := w.state(id, lifecycle.StateNotAffected)
		events := w.timeline(id)
		if last := events[len(events)-1]; last.By != "vex/Acme PSIRT" || last.Text != "it is not linked in" || f.Justification != "vulnerable_code_not_present" {
			t.Errorf("%+v, %+v", last, f)
		}
		if again := w.says(doc); !again.Known {
			t.Errorf("the same again: %+v", again)
		}
		w.take(w.report(nil, found)) // still found, still not affected
		w.state(id, lifecycle.StateNotAffected)
		late := w.take(w.report(func(r *scanning.Report) { r.Scope.Name = "later" }, found)).New[0]
		w.state(late, lifecycle.StateNotAffected) // it counts for what is found later, too
		if got := w.says(statement(vex.Affected, start.Add(time.Minute), "CVE-2026-1")); len(got.Reopened) != 2 {
			t.Errorf("changed its mind: %+v", got)
		}
		w.state(id, lifecycle.StateTriaged)
		w.says(statement(vex.NotAffected, start.Add(2*time.Minute), "CVE-2026-1"))
		w.state(id, lifecycle.StateNotAffected)
		w.says(statement(vex.NotAffected, start.Add(3*time.Minute), "CVE-2026-9")) // it is not said any more
		w.state(id, lifecycle.StateTriaged)
		err := w.tx(func(tx *store.Tx) error {
			_, err := w.store.TakeVEX(t.Context(), tx, tenant, doc, "upload", lifecycle.Change{By: person("anna"), At: w.now})
			return err
		})
		if core.KindOf(err) != core.KindConflict {
			t.Errorf("an older edition: %v", err)
		}
	})
}

// TestNobodysWordCountsUnlessTheOperatorSaysSo, and it counts for what it is said
// of alone.
func TestNobodysWordCountsUnlessTheOperatorSaysSo(t *testing.T) {
	w := onSQLite(t)
	inReport := vuln("CVE-2026-1", "example.com/a", func(f *scanning.Finding) {
		f.VEX = &scanning.Exploitability{Status: "not_affected", Justification: "vulnerable_code_not_present", Source: "x by Acme PSIRT"}
	})
	id := w.take(w.report(nil, inReport)).New[0]
	w.state(id, lifecycle.StateDiscovered)
	for name, edit := range map[string]func(*vex.Document){
		"nobody is trusted": func(*vex.Document) {},
		"somebody else": func(d *vex.Document) {
			w.store.Trusting(acme)
			d.Author, d.Statements[0].Author = "Mallory", "Mallory"
		},
		"a statement in another's name": func(d *vex.Document) { d.Statements[0].Author = "Mallory" },
		"another place": func(*vex.Document) {
			w.store.Trusting([]vex.Author{{Name: "Acme PSIRT", Source: "https://acme.example"}})
		},
		"another version":   func(d *vex.Document) { d.Statements[0].Products[0].PURL = "pkg:golang/example.com/a@v9.0.0" },
		"no justification":  func(d *vex.Document) { d.Statements[0].Justification = "" },
		"from the future":   func(d *vex.Document) { d.Statements[0].At = w.now.Add(day) },
		"a draft":           func(d *vex.Document) { d.Statements[0].Draft = true },
		"under observation": func(d *vex.Document) { d.Statements[0].Status = vex.UnderInvestigation },
	} {
		w.store.Trusting(nil)
		if name != "nobody is trusted" {
			w.store.Trusting(acme)
		}
		d := statement(vex.NotAffected, start, "CVE-2026-1")
		d.ID = "https://acme.example/" + strings.ReplaceAll(name, " ", "-")
		edit(d)
		if got := w.says(d); len(got.NotAffected) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
		if w.get(id).State != lifecycle.StateDiscovered {
			t.Fatalf("%s closed it", name)
		}
	}
}

// TestAPersonsWordStandsOverAStatement: what somebody judged stays, what somebody
// took back is not closed by the same statement again.
func TestAPersonsWordStandsOverAStatement(t *testing.T) {
	w := onSQLite(t)
	w.store.Trusting(acme)
	found := vuln("CVE-2026-1", "example.com/a", nil)
	id := w.take(w.report(nil, found)).New[0]
	w.says(statement(vex.NotAffected, start, "CVE-2026-1"))
	_, err := w.move(id, lifecycle.StateTriaged, func(c *lifecycle.Change) { c.Reason = "it is linked in here" })
	w.must(err)
	w.take(w.report(nil, found))
	w.state(id, lifecycle.StateTriaged)
	w.now = start.Add(3 * time.Hour)
	w.says(statement(vex.NotAffected, start.Add(time.Hour), "CVE-2026-1")) // said anew
	w.state(id, lifecycle.StateNotAffected)
	_, err = w.move(id, lifecycle.StateTriaged, func(c *lifecycle.Change) { c.Reason = "no" })
	w.must(err)
	_, err = w.move(id, lifecycle.StateFalsePositive, func(c *lifecycle.Change) { c.Reason = "an example" })
	w.must(err)
	w.says(statement(vex.Affected, start.Add(2*time.Hour), "CVE-2026-1"))
	w.state(id, lifecycle.StateFalsePositive)
}

// TestAStatementCountsAsLongAsItMay: until the operator's age, its package's
// version, or the operator's trust is over.
func TestAStatementCountsAsLongAsItMay(t *testing.T) {
	w := onSQLite(t)
	trusted := []vex.Author{{Name: "Acme PSIRT", MaxAge: 10 * day}}
	w.store.Trusting(trusted)
	found := vuln("CVE-2026-1", "example.com/a", nil)
	id := w.take(w.report(nil, found)).New[0]
	w.says(statement(vex.NotAffected, start, "CVE-2026-1"))
	w.sweep(start.Add(9 * day))
	w.state(id, lifecycle.StateNotAffected)
	w.sweep(start.Add(11 * day))
	w.state(id, lifecycle.StateTriaged)
	w.says(statement(vex.NotAffected, start.Add(10*day), "CVE-2026-1"))
	w.state(id, lifecycle.StateNotAffected)
	w.take(w.report(nil, vuln("CVE-2026-1", "example.com/a", func(f *scanning.Finding) { f.Package.Version = "v1.0.1-rc" })))
	w.state(id, lifecycle.StateTriaged)
	w.take(w.report(nil, found))
	w.state(id, lifecycle.StateNotAffected)
	w.store.Trusting(nil)
	w.must(w.tx(func(tx *store.Tx) error {
		_, err := w.store.Reconsider(t.Context(), tx, tenant, core.UUID{}, w.now, 10)
		return err
	}))
	w.state(id, lifecycle.StateTriaged)
}

// TestADocumentIsTheSameWhereverItIsFrom: whoever hands it in names the place, so
// another name makes neither another document nor another statement of it.
func TestADocumentIsTheSameWhereverItIsFrom(t *testing.T) {
	w := onSQLite(t)
	w.store.Trusting(acme)
	id := w.take(w.report(nil, vuln("CVE-2026-1", "example.com/a", nil))).New[0]
	old := statement(vex.NotAffected, start, "CVE-2026-1")
	w.says(old)
	_, err := w.move(id, lifecycle.StateTriaged, func(c *lifecycle.Change) { c.Reason = "it is linked in here" })
	w.must(err)
	_, err = w.saysFrom(old, "copy.json")
	w.must(err)
	w.state(id, lifecycle.StateTriaged)
	w.says(statement(vex.NotAffected, start.Add(time.Minute), "CVE-2026-1"))
	w.state(id, lifecycle.StateNotAffected)
	_, err = w.saysFrom(statement(vex.NotAffected, start.Add(2*time.Minute), "CVE-2026-9"), "copy.json")
	w.must(err)
	w.state(id, lifecycle.StateTriaged)
	if _, err := w.saysFrom(old, "third.json"); core.KindOf(err) != core.KindConflict {
		t.Errorf("an older edition: %v", err)
	}
	if _, err := w.saysFrom(statement(vex.NotAffected, w.now.Add(time.Hour), "CVE-2026-1"), "upload"); core.KindOf(err) != core.KindInvalid {
		t.Errorf("an edition from the future: %v", err)
	}
}

// TestAnotherAgeCountsForWhatIsClosed: one that the operator changed moves the day
// on which a finding is open again, and a sweep ends.
func TestAnotherAgeCountsForWhatIsClosed(t *testing.T) {
	w := onSQLite(t)
	trust := func(days ...time.Duration) {
		var list []vex.Author
		for _, d := range days {
			list = append(list, vex.Author{Name: "Acme PSIRT", MaxAge: d * day})
		}
		w.store.Trusting(list)
	}
	trust(10)
	id := w.take(w.report(nil, vuln("CVE-2026-1", "example.com/a", nil))).New[0]
	w.says(statement(vex.NotAffected, start, "CVE-2026-1"))
	trust(20)
	if n := w.sweep(start.Add(11 * day)); n != 1 || w.sweep(w.now) != 0 {
		t.Errorf("the sweep does not end: %d", n)
	}
	w.state(id, lifecycle.StateNotAffected)
	trust(15, 40)
	w.must(w.tx(func(tx *store.Tx) error {
		_, err := w.store.Reconsider(t.Context(), tx, tenant, core.UUID{}, w.now, 10)
		return err
	}))
	w.state(id, lifecycle.StateNotAffected)
	w.sweep(start.Add(16 * day))
	w.state(id, lifecycle.StateTriaged)
}

package audit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
)

// intent is the log's nth entry: anna may open a door.
func intent(n uint64, at time.Time) audit.Record {
	rec := audit.Record{Position: core.Position{Origin: "log/1", Index: n}, Actor: "anna", Object: "door/1", Body: []byte(`{"resource":{"params":"wide"}}`)}
	rec.Header.Type, rec.Header.Action, rec.Header.Outcome, rec.Header.Time = audit.TypeIntent, "door.open", "permitted", at.UnixMicro()
	return rec
}

// onIntent is an entry that names the nth as what permitted it.
func onIntent(n uint64) audit.Record {
	rec := audit.Record{Actor: "anna", Object: "door/1"}
	rec.Header.Intent = fmt.Sprintf("log/1#%d", n)
	return rec
}

func TestPermitsAreGoodForOneActOfTheirs(t *testing.T) {
	p := audit.NewPermits("door.open")
	p.Add(intent(7, time.Unix(1000, 0)))
	other, someone := onIntent(7), onIntent(7)
	other.Object, someone.Actor = "door/2", "bert"
	for _, rec := range []audit.Record{other, someone, onIntent(8)} {
		if got, ok := p.TakeFor(rec, "wide"); ok {
			t.Errorf("%+v is permitted by %+v", rec, got)
		}
	}
	if _, ok := p.TakeFor(onIntent(7), "narrow"); ok {
		t.Error("other parameters are permitted")
	}
	if got, ok := p.TakeFor(onIntent(7), "wide"); !ok || got.Action != "door.open" || got.Object != "door/1" || got.Actor != "anna" || got.Params != "wide" {
		t.Errorf("what was permitted is not: %+v", got)
	}
	if _, ok := p.TakeFor(onIntent(7), "wide"); ok {
		t.Error("a permit is good for two")
	}
	p.Add(intent(9, time.Unix(1000, 0)))
	if _, ok := p.Take(other); ok {
		t.Error("an entry took a permit that it does not name")
	}
	if got, ok := p.Take(onIntent(9)); !ok || got.Object != "door/1" {
		t.Errorf("%+v", got)
	}
}

func TestPermitsAreThoseOfTheActionsAndEnd(t *testing.T) {
	p := audit.NewPermits("door.open")
	start := time.Unix(1000, 0)
	refused, another, no := intent(1, start), intent(2, start), intent(3, start)
	refused.Header.Outcome, another.Header.Action, no.Header.Type = "refused", "door.close", audit.TypeAuthority
	for _, rec := range []audit.Record{refused, another, no, intent(4, start), intent(5, start.Add(time.Hour)), intent(6, start.Add(audit.PermitLife+time.Minute))} {
		p.Add(rec)
	}
	for n, want := range map[uint64]bool{1: false, 2: false, 3: false, 4: false, 5: true, 6: true} {
		if _, ok := p.TakeFor(onIntent(n), "wide"); ok != want {
			t.Errorf("entry %d: permits %v, want %v", n, ok, want)
		}
	}
}

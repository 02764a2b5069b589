package stop

import (
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
)

func TestReachIsWhatATripWouldStop(t *testing.T) {
	s, clock := memoryPlant(t)
	r, known := s.Reach(who(bert))
	if !known || len(r.Sites) != 2 || r.Devices() != 8 || !r.Withdrawn.IsZero() {
		t.Fatalf("bert reaches %+v (%v)", r, known)
	}
	hall := r.Sites[0]
	if hall.Site != hallA || hall.Devices != 4 || hall.Unlined != 1 || len(hall.Lines) != 2 || hall.Lines[0] != (LineReach{lineO, 1}) || hall.Lines[1] != (LineReach{lineP, 2}) {
		t.Errorf("hall-a: %+v", hall)
	}
	for _, line := range hall.Lines {
		got := mustTrip(t, s, who(bert), Scope{Kind: ScopeLine, Site: hallA, Line: line.Line}).NotConfirmed()
		if want := line.Devices + hall.Unlined; got != want {
			t.Errorf("line %s stops %d, its reach says %d", line.Line, got, want)
		}
	}
	if r, known := s.Reach(who(cora)); !known || len(r.Sites) != 0 {
		t.Errorf("cora, who has no site, reaches %+v (%v)", r, known)
	}
	if _, known := s.Reach(who(core.MustID[core.PersonID]("stranger"))); known {
		t.Error("a stranger reaches something")
	}
	if _, known := s.Reach(core.Principal{Kind: core.KindToken, ID: "vera", Tenant: tenant}); known {
		t.Error("a token with a person's name reaches something")
	}
	until := clock.Now().Add(time.Hour)
	if err := s.Withdraw(tenant, vera, until, "six false stops today", bert, cora); err != nil {
		t.Fatal(err)
	}
	if r, _ := s.Reach(who(vera)); !r.Withdrawn.Equal(until) {
		t.Errorf("withdrawn until %s, want %s", r.Withdrawn, until)
	}
}

func TestAReasonGivenAfterwardsIsFound(t *testing.T) {
	s, _ := memoryPlant(t)
	trip := mustTrip(t, s, who(vera), siteA).Trip
	if reason, by := s.Explained(tenant, trip); reason != "" || by != "" {
		t.Errorf("explained already: %q by %q", reason, by)
	}
	for _, reason := range []string{"smoke", "smoke from the oven"} {
		if err := s.Explain(who(vera), trip, reason); err != nil {
			t.Fatal(err)
		}
	}
	if reason, by := s.Explained(tenant, trip); reason != "smoke from the oven" || by != "person/vera" {
		t.Errorf("%q by %q", reason, by)
	}
	if reason, _ := s.Explained(core.MustID[core.TenantID]("rival"), trip); reason != "" {
		t.Errorf("another tenant reads %q", reason)
	}
}

func TestTargetOf(t *testing.T) {
	s, _ := memoryPlant(t)
	if got, known := s.TargetOf(tenant, dev("hall-a-1")); !known || got.Site != hallA || got.Line != lineO {
		t.Errorf("%+v %v", got, known)
	}
	if _, known := s.TargetOf(tenant, dev("new-1")); known {
		t.Error("an unknown device is known")
	}
}

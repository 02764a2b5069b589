package events_test

import (
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/events"
)

func TestRowsAreFoundAsTheyWentIn(t *testing.T) {
	s := newStore(t)
	now := time.Now().UTC().Truncate(time.Microsecond)
	s.put(t,
		row(ours, 1, 0, now.Add(-2*time.Minute), "the case was opened", events.Field{Name: "type", Value: "case_intrusion"}, events.Field{Name: "severity", Value: "high"}),
		row(ours, 1, 1, now.Add(-time.Minute), "Failed password for root", events.Field{Name: "user.name", Value: "root"}),
		row(ours, 2, 0, now, "Failed password for bob", events.Field{Name: "user.name", Value: "bob"}),
		row(theirs, 3, 0, now, "Failed password for eve", events.Field{Name: "user.name", Value: "eve"}),
	)
	hits := s.search(t, ours, "Failed password")
	if len(hits) != 2 || hits[0].Fields["user.name"] != "bob" || hits[1].Fields["user.name"] != "root" || !hits[0].Time.Equal(now) {
		t.Errorf("the newest first: %+v", hits)
	}
	if hits := s.search(t, ours, `type:case_intrusion severity:high`); len(hits) != 1 || hits[0].Fields[events.FieldMessage] != "the case was opened" ||
		hits[0].Fields[events.FieldSource] != "device/press-7" || hits[0].Fields[events.FieldOffset] != "1" || hits[0].Fields[events.FieldTenant] != "ours" {
		t.Errorf("%+v", hits)
	}
	if hits := s.search(t, ours, `* | stats by (user.name) count() n | sort by (n)`); len(hits) != 3 {
		t.Errorf("%+v", hits)
	}
	found, err := s.Client().Stored(t.Context(), ours, 0, 1, 2, now.Add(-time.Hour), now)
	if err != nil || len(found) != 3 || found[events.Place{Offset: 1, Index: 1}] != 1 {
		t.Errorf("%v %v", found, err)
	}
}

// TestRowsOfANewSourceAreFound asks for rows at once, when the store does not
// show them yet: that must not make it forget them.
func TestRowsOfANewSourceAreFound(t *testing.T) {
	s := newStore(t)
	now := time.Now()
	for i := range uint64(3) {
		r := row(ours, 1+i, 0, now, "x")
		r.Source = []string{"a", "b", "c"}[i]
		if err := s.Client().Insert(t.Context(), []events.Row{r}); err != nil {
			t.Fatal(err)
		}
		await(t, "the row", func() bool {
			n, err := s.Client().Count(t.Context(), ours, 0, 1, 1+i, now, now)
			return err == nil && n == 1+i && len(s.search(t, ours, "source:="+r.Source)) == 1
		})
	}
}

func TestHistogram(t *testing.T) {
	s := newStore(t)
	base := time.Now().UTC().Add(-time.Hour).Truncate(time.Minute)
	s.put(t, row(ours, 1, 0, base.Add(time.Second), "a"), row(ours, 1, 1, base.Add(59*time.Second), "b"), row(ours, 1, 2, base.Add(121*time.Second), "c"), row(theirs, 1, 3, base, "d"))
	got, err := s.Client().Histogram(t.Context(), events.Query{Tenant: ours, From: base, To: base.Add(4 * time.Minute)}, time.Minute)
	if err != nil || len(got) != 4 || got[0].Count != 2 || got[1].Count != 0 || got[2].Count != 1 || !got[0].Start.Equal(base) {
		t.Errorf("%+v %v", got, err)
	}
	for name, q := range map[string]events.Query{
		"no time": {Tenant: ours}, "too many steps": {Tenant: ours, From: base, To: base.Add(1001 * time.Minute)}, "no tenant": {From: base, To: base.Add(time.Hour)},
	} {
		if _, err := s.Client().Histogram(t.Context(), q, time.Minute); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARefusedQueryIsTheCallersFault(t *testing.T) {
	s := newStore(t)
	for _, bad := range []string{"(", `type:"`, "| |", "* | stats nonsense()"} {
		if _, err := s.Client().Search(t.Context(), events.Query{Tenant: ours, LogsQL: bad}); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

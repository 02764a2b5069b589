package audit_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
)

// places are where records stand, in their order.
func places(records []audit.Record) []core.Position {
	list := make([]core.Position, len(records))
	for i, r := range records {
		list[i] = r.Position
	}
	return list
}

// walk reads a search page by page and returns how many pages it took.
func walk(t *testing.T, l *audit.Log, q audit.Query) (found []core.Position, pages int) {
	t.Helper()
	for {
		hits, next, err := l.Page(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(hits) > q.Limit {
			t.Fatalf("a page of %d holds %d", q.Limit, len(hits))
		}
		found, pages = append(found, places(hits)...), pages+1
		if next == (core.Position{}) {
			return found, pages
		}
		if q.Before == next {
			t.Fatalf("the page after %v is itself", next)
		}
		q.Before = next
	}
}

// TestPagesOfASearchAreTheSearch, whatever their size and however little of the
// log one looks at, across logs that were succeeded too.
func TestPagesOfASearchAreTheSearch(t *testing.T) {
	long := open(t, config(t, t.TempDir()))
	appendAll(t, long, 0, 1300)
	_, chain := succeededExport(t)
	empty := open(t, config(t, t.TempDir()))
	for name, l := range map[string]*audit.Log{"long": long, "succeeded": chain, "empty": empty} {
		for _, q := range []audit.Query{
			{}, {Actor: "nobody"}, {Object: "test/7"}, {Type: audit.TypeFact}, {Until: time.Unix(0, 0)}, {Outcome: "done"},
		} {
			q.Limit = 10_000
			all, err := l.Search(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, size := range []int{1, 7, 499, 500, 501, 10_000} {
				if size == 1 && len(all) > 100 {
					continue // nothing that 7 does not show
				}
				q.Limit = size
				if got, _ := walk(t, l, q); !slices.Equal(got, places(all)) {
					t.Errorf("%s: %+v: %d entries by page, %d at once", name, q, len(got), len(all))
				}
			}
		}
	}
}

// TestAPageLooksAtABoundedPart: a search for what there is not ends, and goes on
// where it ended.
func TestAPageLooksAtABoundedPart(t *testing.T) {
	l := open(t, config(t, t.TempDir()))
	appendAll(t, l, 0, 1300)
	audit.LookAt(t, 500)
	found, pages := walk(t, l, audit.Query{Actor: "nobody", Limit: 100})
	if len(found) != 0 || pages != 3 {
		t.Errorf("%d entries on %d pages, want none on 3", len(found), pages)
	}
	if _, pages := walk(t, l, audit.Query{Limit: 10}); pages != 130 {
		t.Errorf("%d pages of 10", pages)
	}
}

// TestAPageOfAnotherLog: what is no log of ours is not found.
func TestAPageOfAnotherLog(t *testing.T) {
	l := open(t, config(t, t.TempDir()))
	appendAll(t, l, 0, 3)
	if _, _, err := l.Page(t.Context(), audit.Query{Before: core.Position{Origin: "elsewhere", Index: 2}}); core.KindOf(err) != core.KindNotFound {
		t.Errorf("another log: %v", err)
	}
	hits, next, err := l.Page(t.Context(), audit.Query{Before: core.Position{Origin: origin, Index: 1 << 40}})
	if err != nil || len(hits) != 3 || next != (core.Position{}) {
		t.Errorf("from behind the end: %s %v %v", fmt.Sprint(places(hits)), next, err)
	}
}

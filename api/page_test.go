package api

import (
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
)

// FuzzCursors: whatever is said to be a cursor, it is read as one that this
// package wrote, or refused; never with the bytes told back.
func FuzzCursors(f *testing.F) {
	m := moment{time.UnixMicro(1_790_000_000_123_456).UTC(), core.NewUUID(time.Now())}
	for _, seed := range []string{"", m.cursor("alerts"), m.cursor("orders"), encodeCursor("devices", "press-7"), "YWxlcnRzfDF8eA", "=", strings.Repeat("A", 400), "\x1b[31m", "YWxlcnRzfC0xfDAxOTMyZDNmLTliOWUtN2MyYS04ZjAwLTNiMWYwYzlhN2U1NQ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := momentOf("alerts", text)
		switch {
		case err != nil:
			if core.KindOf(err) != core.KindInvalid || len(text) > 8 && strings.Contains(err.Error(), text) {
				t.Errorf("%q: %v", text, err)
			}
		case text == "":
			if got != (moment{}) {
				t.Errorf("nothing is read as %v", got)
			}
		case got.cursor("alerts") != text:
			again, err := momentOf("alerts", got.cursor("alerts"))
			if err != nil || again != got {
				t.Errorf("%q is read as %v, which is read as %v (%v)", text, got, again, err)
			}
		}
		if parts, err := decodeCursor("audit", text, 2); err == nil && text != "" && encodeCursor("audit", parts...) != text {
			t.Errorf("%q has the parts %q", text, parts)
		}
	})
}

// TestCursorsOfOtherLists are refused: they would be read as something else.
func TestCursorsOfOtherLists(t *testing.T) {
	m := moment{time.UnixMicro(1_790_000_000_123_456).UTC(), core.NewUUID(time.Now())}
	for _, list := range []string{"alerts", "incidents", "orders"} {
		for _, other := range []string{"alerts", "incidents", "orders"} {
			got, err := momentOf(list, m.cursor(other))
			if (err == nil) != (list == other) || err == nil && got != m {
				t.Errorf("%s reads a cursor of %s as %v, %v", list, other, got, err)
			}
		}
	}
}

// TestPagesEndWhereTheyEnd: a next page is promised only where there is one.
func TestPagesEndWhereTheyEnd(t *testing.T) {
	for n, next := range map[int]string{0: "", 1: "", 3: "", 4: "c3"} {
		list := []int{1, 2, 3, 4}[:n]
		p := cut(list, 3, n, func(i int) string { return "c" + string(rune('0'+i)) })
		if p.Next != next || len(p.Items) != min(n, 3) || p.Items == nil {
			t.Errorf("of %d: %+v", n, p)
		}
	}
	for limit, want := range map[int]int{0: PageDefault, 1: 1, PageMost: PageMost, -1: 0, PageMost + 1: 0} {
		if got, err := rows(limit); got != want || (err == nil) != (want > 0) {
			t.Errorf("limit %d: %d, %v", limit, got, err)
		}
	}
}

package web

import (
	"context"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
)

func searchRoutes(c *Console) {
	c.get("/search", policy.EventRead, c.search)
}

// spans are the ranges that one press chooses.
var spans = []struct {
	Name string
	Text string
	Long time.Duration
}{
	{"15m", "15 minutes", 15 * time.Minute},
	{"1h", "1 hour", time.Hour},
	{"24h", "24 hours", 24 * time.Hour},
	{"7d", "7 days", 7 * 24 * time.Hour},
	{"30d", "30 days", 30 * 24 * time.Hour},
}

const (
	defaultSpan = "24h"
	searchHits  = 40
	searchBars  = 80
	// searchPatience bounds how long a page waits for the event store.
	searchPatience = 20 * time.Second
)

type searchView struct {
	Query    string
	Span     string
	From, To time.Time
	Exact    bool // from and to were given, not a span
	Tabs     []tab
	Hits     []hitView
	Total    int
	More     bool
	Chart    template.HTML
	Buckets  []bar
	Problem  *problem
	Empty    empty
}

// hitView is an event that was found.
type hitView struct {
	ID     string
	Time   time.Time
	Source string
	Type   string
	Device string
	// Severity is "" for rows that a pipe of the query made.
	Severity core.Severity
	Fields   pieces
	All      []field
}

func (c *Console) search(w http.ResponseWriter, r *http.Request) error {
	v, err := c.searchAsked(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), searchPatience)
	defer cancel()
	if err := c.find(ctx, &v); err != nil {
		if kind := core.KindOf(err); kind != core.KindUnavailable && kind != core.KindInvalid {
			return err
		}
		v.Problem = &problem{Title: problemTitles[core.KindOf(err)], Detail: detail(err.Error()), Next: core.HintOf(err)}
	}
	return c.render(w, r, "search", page{Title: "Search", Nav: "search", Query: v.Query, Body: v})
}

// searchAsked reads what is looked for. Times are UTC.
func (c *Console) searchAsked(r *http.Request) (searchView, error) {
	q := r.URL.Query()
	v := searchView{Query: strings.TrimSpace(q.Get("q")), Span: q.Get("span"), To: c.Clock.Now().UTC()}
	if len(v.Query) > maxSearch {
		return v, core.E(core.KindTooLarge, "web.search", "the query is too long")
	}
	var err error
	if q.Get("from") != "" {
		v.Exact, v.Span = true, ""
		if v.From, err = timeOf(q.Get("from")); err != nil {
			return v, err
		}
		if q.Get("to") != "" {
			if v.To, err = timeOf(q.Get("to")); err != nil {
				return v, err
			}
		}
	}
	for _, s := range spans {
		if v.Span == s.Name {
			v.From = v.To.Add(-s.Long)
		}
	}
	if v.From.IsZero() {
		v.Span, v.From = defaultSpan, v.To.Add(-24*time.Hour)
	}
	for _, s := range spans {
		v.Tabs = append(v.Tabs, tab{Href: address("/search", url.Values{"q": {v.Query}, "span": {s.Name}}), Text: s.Text, Here: v.Span == s.Name})
	}
	v.Empty = empty{Icon: "search", Title: "Nothing found", Next: "Nothing in this time matches. Take a longer time, or fewer words. A query is LogsQL: a word alone looks in the log line, a name before it in that field: type:case_intrusion, device:press-7, severity:high AND NOT simulated:true."}
	return v, nil
}

const maxSearch = 4 << 10

// timeOf reads a time as addresses and time fields write it.
func timeOf(text string) (time.Time, error) {
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, core.E(core.KindInvalid, "web.search", "a time looks like 2026-01-31T14:00")
}

// find asks the event store, through the API, for the histogram and the newest
// events.
func (c *Console) find(ctx context.Context, v *searchView) error {
	hits, err := c.API.SearchEvents(ctx, &api.SearchEventsInput{Query: v.Query, From: v.From, To: v.To, Limit: searchHits})
	if err != nil {
		return err
	}
	room := unfolded
	for _, h := range hits.Body.Items {
		hit := hitView{
			ID: h.ID, Time: h.Time, Source: cut(h.Source, maxCell), Type: cut(h.Type, maxCell), Device: cut(h.Device, maxCell), Severity: core.Severity(h.Severity),
			Fields: piecesOf(cut(found(h.Fields), maxFields/2)),
		}
		hit.All, room = allFields(h.Fields, room)
		v.Hits = append(v.Hits, hit)
	}
	v.More = len(v.Hits) == searchHits
	counts, err := c.API.EventHistogram(ctx, &api.EventHistogramInput{Query: v.Query, From: v.From, To: v.To, Bars: searchBars})
	if err != nil {
		return err
	}
	v.Buckets = v.barsOf(counts.Body.Items)
	for _, b := range v.Buckets {
		v.Total += b.Count
	}
	v.Chart = histogram(plural(v.Total, "event", "events")+" from "+v.From.Format("2006-01-02 15:04")+" to "+v.To.Format("2006-01-02 15:04 UTC"), v.Buckets)
	return nil
}

// found tells the fields that say what happened, on one line.
func found(fields map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(envelopeFields, name) && !strings.HasPrefix(name, "journal.") {
			parts = append(parts, name+"="+fields[name])
		}
	}
	return strings.Join(parts, "  ")
}

// unfolded is how many bytes of fields the rows of a page unfold to, together.
const unfolded = 10 << 10

// allFields lists a row's fields as far as room lasts, and returns what is left
// of it.
func allFields(fields map[string]string, room int) ([]field, int) {
	var list []field
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if strings.HasPrefix(name, "_stream") {
			continue
		}
		f := field{cut(name, maxCell), cut(fields[name], maxFields)}
		if room -= len(f.Name) + len(f.Value); room < 0 {
			return append(list, field{"…", "more than this page can show; interlock events search has all of it"}), 0
		}
		list = append(list, f)
	}
	return list, room
}

// barsOf fills the gaps, so that a bar's place is its time, and makes each lead
// to its own span.
func (v *searchView) barsOf(buckets []api.EventBucket) []bar {
	if len(buckets) == 0 {
		return nil
	}
	step := v.To.Sub(v.From)
	for i := 1; i < len(buckets); i++ {
		if d := buckets[i].Time.Sub(buckets[i-1].Time); d > 0 {
			step = min(step, d)
		}
	}
	if len(buckets) == 1 {
		step = max(v.To.Sub(v.From)/searchBars, time.Second)
	}
	first := buckets[0].Time
	for first.Add(-step).After(v.From.Add(-step)) && len(buckets) > 0 && v.To.Sub(first) < 400*step {
		first = first.Add(-step)
	}
	counts := map[int64]int{}
	for _, b := range buckets {
		counts[int64(b.Time.Sub(first)/step)] += int(min(b.Count, 1<<40))
	}
	var bars []bar
	for i := int64(0); i < 400; i++ {
		at := first.Add(time.Duration(i) * step)
		if !at.Before(v.To) {
			break
		}
		href := address("/search", url.Values{"q": {v.Query}, "from": {at.UTC().Format(time.RFC3339)}, "to": {at.Add(step).UTC().Format(time.RFC3339)}})
		bars = append(bars, bar{From: at, Count: counts[i], Href: href})
	}
	return bars
}

package events_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/events"
)

// escapes are texts that try to see another tenant's rows. None may: whether the
// store refuses one or runs it is its own business.
func escapes(theirStream string) []string {
	return []string{
		`*`, `""`, `secret`, `*secret*`, `~"."`, `!ours`,
		`tenant:theirs`, `tenant:="theirs"`, `tenant:~".*"`, `!tenant:ours`, `tenant:ours or tenant:theirs`, `* or tenant:theirs`, `* or *`, `tenant:in(ours, theirs)`,
		`{tenant="theirs"}`, `_stream:{tenant="theirs"}`, `{tenant="ours" or tenant="theirs"}`, `{tenant=~".+"}`, `{source="device/press-7"}`, `* {tenant!="ours"}`,
		`_stream_id:` + theirStream, `_stream_id:in(` + theirStream + `)`, `_stream_id:in(tenant:theirs | fields _stream_id)`,
		`* or _stream_id:` + theirStream,
		// Out of the brackets that a filter may be put in.
		`*) or (*`, `(*) or (tenant:theirs`, `* | *`, `*" or "tenant:theirs`, "*\ntenant:theirs", "* # tenant:ours", `* ) | union (*`,
		// A query in the query.
		`* | union (*)`, `* | union (tenant:theirs)`, `nothing | union (tenant:theirs | union (tenant:theirs))`, `* | union ({tenant="theirs"})`,
		`_msg:in(tenant:theirs | fields _msg)`, `_msg:in(* | fields _msg)`, `_msg:contains_any(tenant:theirs | fields _msg)`, `_msg:contains_all(tenant:theirs | fields _msg)`,
		`word:in(tenant:theirs | fields word)`, `not word:in(* | fields word)`,
		`* | filter _msg:in(tenant:theirs | fields _msg)`, `* | where word:in(tenant:theirs | fields word)`,
		`* | join by (word) (tenant:theirs | fields word, _msg)`, `* | join by (word) (* | fields word, _msg) prefix "x."`, `* | join by (word) (tenant:theirs) inner`,
		`* | stats count() if (_msg:in(tenant:theirs | fields _msg)) n`, `* | format if (word:in(tenant:theirs | fields word)) "secret"`,
		`* | union (* | join by (word) (tenant:theirs))`,
		// Options.
		`options(global_filter="tenant:theirs") *`, `options(ignore_global_time_filter=true) *`, `options(ignore_global_time_filter=true) tenant:theirs`,
		`options(concurrency=100) tenant:theirs`, `options(extra_filters="*") *`, `options(tenant="0:0") *`, `options(account_id=0) *`, `options(allow_partial_response=true) *`,
		`* | union (options(ignore_global_time_filter=true) *)`, `options(time_offset=-1d) *`,
		// What else the request has.
		`*&extra_stream_filters={tenant="theirs"}`, `*&extra_filters=*`, `*&AccountID=0&ProjectID=0`, "*\r\nAccountID: 0", `*%26extra_filters=*`, `*;extra_filters=*`,
		// Pipes that look at streams, fields or blocks instead of rows.
		`* | stream_context before 100 after 100`, `secret | stream_context before 100`, `* | field_values tenant`, `* | field_values word`, `* | field_names`, `* | facets`, `* | facets 100`,
		`* | uniq by (tenant, word)`, `* | top 10 by (word)`, `* | stats count_uniq(tenant) n, values(word) w`, `* | stats by (word) count() n`, `* | stats uniq_values(_msg) v`,
		`* | blocks_count`, `* | block_stats`, `* | query_stats`, `* | stats row_any() r`, `* | stats row_max(_time) r`, `* | first 100 by (_time)`, `* | last 100 by (_time)`, `* | sample 1`,
		`* | delete tenant`, `* | copy tenant as x`, `* | rename tenant as x`, `* | format "<_msg>" as tenant | filter tenant:secret`, `* | set_stream_fields word`, `* | unpack_json`,
		`* | extract "tenant=<x>" from _stream`, `* | running_stats count() n`, `* | generate_sequence 10`, `* | sort by (_time) limit 100`,
		// Repeated, nested and long.
		strings.Repeat(`* | union (`, 20) + `*` + strings.Repeat(`)`, 20), strings.Repeat("(", 500) + "*" + strings.Repeat(")", 500), strings.Repeat("tenant:theirs or ", 400) + "*",
	}
}

// The one mark of theirs that no answer may hold.
const theirMark = "s3cr3t-of-theirs"

func fillTenants(t *testing.T, s *store) (theirStream string) {
	t.Helper()
	now := time.Now()
	word := func(w string) events.Field { return events.Field{Name: "word", Value: w} }
	s.put(t,
		row(ours, 1, 0, now.Add(-time.Minute), "the door of ours", word("shared")),
		row(ours, 1, 1, now, "secret", word("own")),
		row(theirs, 2, 0, now.Add(-time.Minute), "secret "+theirMark, word("shared"), events.Field{Name: theirMark, Value: "x"}),
		row(theirs, 2, 1, now, theirMark, word(theirMark)),
	)
	hits := s.search(t, theirs, theirMark)
	if len(hits) != 2 {
		t.Fatalf("theirs are not there: %+v", hits)
	}
	return hits[0].Fields["_stream_id"]
}

func TestNoTextSeesAnotherTenantsRows(t *testing.T) {
	for _, mode := range []string{"accounts and filter", "filter alone"} {
		t.Run(mode, func(t *testing.T) {
			s := newStore(t)
			if mode == "filter alone" {
				s.Client().ShareAccount()
			}
			stream := fillTenants(t, s)
			ran := 0
			for _, text := range escapes(stream) {
				q := events.Query{Tenant: ours, LogsQL: text, Limit: 1000}
				hits, err := s.Client().Search(t.Context(), q)
				if err == nil {
					ran++
				} else if kind := core.KindOf(err); kind != core.KindInvalid && kind != core.KindUnavailable {
					t.Errorf("%.100s: %v", text, err)
				}
				// What the store says of a query that it refuses quotes the query.
				if told, _ := json.Marshal(hits); strings.Contains(string(told), theirMark) || strings.Contains(string(told), stream) {
					t.Errorf("%.100s shows rows of another tenant: %s", text, told)
				}
				for _, h := range hits {
					if tenant := h.Fields[events.FieldTenant]; tenant != "" && tenant != "ours" && !strings.Contains(text, "as tenant") {
						t.Errorf("%.100s shows a row of tenant %q", text, tenant)
					}
				}
				q.From, q.To = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
				if buckets, err := s.Client().Histogram(t.Context(), q, time.Minute); err == nil {
					n := uint64(0)
					for _, b := range buckets {
						n += b.Count
					}
					if n > 2 && !strings.Contains(text, "generate_sequence") && !strings.Contains(text, "union") {
						t.Errorf("%.100s counts %d", text, n)
					}
				}
			}
			if ran < 40 {
				t.Errorf("the store ran only %d of the texts: the table tests its parser and not its walls", ran)
			}
			if err := s.Client().Health(t.Context()); err != nil || s.Starts() != 1 {
				t.Errorf("the store did not live through it: %v, %d starts", err, s.Starts())
			}
		})
	}
}

// TestNoTextIsAnOracle asks yes-or-no questions about another tenant's rows.
func TestNoTextIsAnOracle(t *testing.T) {
	s := newStore(t)
	s.Client().ShareAccount() // the filter alone
	fillTenants(t, s)
	for _, text := range []string{
		`word:in(tenant:theirs | fields word)`, `_msg:contains_any(tenant:theirs | fields word)`, `* | join by (word) (tenant:theirs) inner`,
		`* | filter word:in({tenant="theirs"} | fields word)`, `word:in(_msg:` + theirMark + ` | fields word)`,
	} {
		if hits := s.search(t, ours, text); len(hits) != 0 {
			t.Errorf("%s: %+v", text, hits)
		}
	}
	for text, want := range map[string]string{
		`* | stats count() if (word:in(tenant:theirs | fields word)) n`: "0",
		`* | union (tenant:theirs) | stats count() n`:                   "2",
		`* | stats count_uniq(tenant) n`:                                "1",
	} {
		if hits := s.search(t, ours, text); len(hits) != 1 || hits[0].Fields["n"] != want {
			t.Errorf("%s: %+v, want %s", text, hits, want)
		}
	}
}

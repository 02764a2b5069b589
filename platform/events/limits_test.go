package events_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/events"
)

// fake is a store that answers as it is told.
func fake(t testing.TB, h http.HandlerFunc) *events.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return events.NewClient(events.Config{
		Insert: server.URL + "/in/", Select: server.URL + "/out", User: "interlock", Password: core.NewSecret([]byte("pass")), Installation: core.MustID[core.ServiceID]("test"),
	})
}

func searchOf(c *events.Client) ([]events.Hit, error) {
	return c.Search(context.Background(), events.Query{Tenant: ours, LogsQL: "x"})
}

func TestAnswersAreReadWithinLimits(t *testing.T) {
	const small = 1 << 20
	long := func(n int) string { return `{"_msg":"` + strings.Repeat("x", n) + `"}` }
	for name, tc := range map[string]struct {
		answer func(w http.ResponseWriter)
		kind   core.Kind
	}{
		"no JSON":            {func(w http.ResponseWriter) { io.WriteString(w, "sorry\n") }, core.KindDamaged},
		"a list":             {func(w http.ResponseWriter) { io.WriteString(w, "[]\n") }, core.KindDamaged},
		"null":               {func(w http.ResponseWriter) { io.WriteString(w, "null\n") }, core.KindDamaged},
		"a number as value":  {func(w http.ResponseWriter) { io.WriteString(w, `{"a":1}`) }, core.KindDamaged},
		"nested":             {func(w http.ResponseWriter) { io.WriteString(w, `{"a":{"b":"c"}}`) }, core.KindDamaged},
		"two on a line":      {func(w http.ResponseWriter) { io.WriteString(w, `{"a":"b"}{"a":"b"}`) }, core.KindDamaged},
		"an error after all": {func(w http.ResponseWriter) { io.WriteString(w, "{\"a\":\"b\"}\ncannot execute query\n") }, core.KindDamaged},
		"cut in a line":      {func(w http.ResponseWriter) { io.WriteString(w, `{"a":"b`) }, core.KindDamaged},
		"broken off in a line": {func(w http.ResponseWriter) {
			io.WriteString(w, "{\"a\":\"b\"}\n{\"a")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, core.KindUnavailable},
		"broken off": {func(w http.ResponseWriter) {
			io.WriteString(w, "{\"a\":\"b\"}\n")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, core.KindUnavailable},
		"a line too long": {func(w http.ResponseWriter) { io.WriteString(w, long(events.MaxLine)) }, core.KindTooLarge},
		"too many lines": {func(w http.ResponseWriter) {
			line := []byte(long(1<<10) + "\n")
			for n := 0; n <= small; n += len(line) {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		}, core.KindTooLarge},
		"unauthorized": {func(w http.ResponseWriter) { w.WriteHeader(401) }, core.KindUnavailable},
		"overloaded":   {func(w http.ResponseWriter) { w.WriteHeader(429) }, core.KindUnavailable},
		"full":         {func(w http.ResponseWriter) { w.WriteHeader(507) }, core.KindUnavailable},
		"down":         {func(w http.ResponseWriter) { w.WriteHeader(503) }, core.KindUnavailable},
		"a bad query":  {func(w http.ResponseWriter) { http.Error(w, "\x1b[31mno\u202e", 400) }, core.KindInvalid},
		"moved":        {func(w http.ResponseWriter) { w.Header().Set("Location", "http://127.0.0.1:1/"); w.WriteHeader(307) }, core.KindInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			c := fake(t, func(w http.ResponseWriter, _ *http.Request) { tc.answer(w) })
			if name == "too many lines" {
				c.SetMaxAnswer(small)
			}
			hits, err := searchOf(c)
			if core.KindOf(err) != tc.kind || hits != nil {
				t.Errorf("%v and %d hits, want %s", err, len(hits), tc.kind)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\x1b\u202e") {
				t.Errorf("the error carries the store's control characters: %q", err)
			}
		})
	}
}

func TestABrokenConnectionToTheStoreIsNotOneOfTheAsker(t *testing.T) {
	c := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.Close()
	})
	_, err := searchOf(c)
	if core.KindOf(err) != core.KindUnavailable || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF) {
		t.Errorf("%#v", err)
	}
	if core.HintOf(err) == "" || strings.Contains(err.Error(), "127.0.0.1:") {
		t.Errorf("%v, next: %s", err, core.HintOf(err))
	}
}

func TestEndlessAnswersEndWithTheAsker(t *testing.T) {
	began := make(chan struct{})
	c := fake(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		_ = http.NewResponseController(w).Flush()
		close(began)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-began; cancel() }()
	if _, err := c.Search(ctx, events.Query{Tenant: ours}); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("%v", err)
	}
}

func TestAwayIsUnavailable(t *testing.T) {
	c := events.NewClient(events.Config{})
	_, searched := searchOf(c)
	_, counted := c.Histogram(t.Context(), events.Query{Tenant: ours, From: time.Unix(0, 0), To: time.Unix(60, 0)}, time.Second)
	_, stored := c.Stored(t.Context(), ours, 0, 1, 2, time.Unix(0, 0), time.Unix(1, 0))
	for name, err := range map[string]error{
		"search": searched, "histogram": counted, "stored": stored, "health": c.Health(t.Context()), "flush": c.Flush(t.Context()),
		"insert": c.Insert(t.Context(), []events.Row{row(ours, 1, 0, time.Now(), "x")}),
	} {
		if core.KindOf(err) != core.KindUnavailable || core.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEachTenantHasAnAccount looks at what goes over the wire.
func TestEachTenantHasAnAccount(t *testing.T) {
	accounts := map[string]string{}
	var tenant string
	c := fake(t, func(_ http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "interlock" || password != "pass" || strings.Contains(r.URL.String(), "pass") {
			t.Errorf("%s: user %q, password %q", r.URL, user, password)
		}
		account := r.Header.Get("AccountID") + ":" + r.Header.Get("ProjectID")
		if before, seen := accounts[tenant]; seen && before != account || r.Header.Get("AccountID") == "" {
			t.Errorf("tenant %s has the accounts %q and %q", tenant, before, account)
		}
		accounts[tenant] = account
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		if want := `tenant:="` + tenant + `"`; strings.HasPrefix(r.URL.Path, "/out/") && !slices.Equal(r.Form["extra_filters"], []string{want}) {
			t.Errorf("the filter of %s is %q", tenant, r.Form["extra_filters"])
		}
	})
	for _, id := range []core.TenantID{ours, theirs, core.MustID[core.TenantID]("third")} {
		tenant = id.String()
		if _, err := c.Search(t.Context(), events.Query{Tenant: id, LogsQL: "x&extra_filters=*"}); err != nil {
			t.Error(err)
		}
		if err := c.Insert(t.Context(), []events.Row{row(id, 1, 0, time.Now(), "x")}); err != nil {
			t.Error(err)
		}
	}
	if n := len(slices.Compact(slices.Sorted(maps.Values(accounts)))); n != 3 {
		t.Errorf("the tenants share accounts: %v", accounts)
	}
}

func TestQueriesThatAreRefusedUnasked(t *testing.T) {
	c := fake(t, func(http.ResponseWriter, *http.Request) { t.Error("the store was asked") })
	now := time.Now()
	for name, tc := range map[string]struct {
		q    events.Query
		kind core.Kind
	}{
		"no tenant":      {events.Query{LogsQL: "x"}, core.KindInvalid},
		"too long":       {events.Query{Tenant: ours, LogsQL: strings.Repeat("x", events.MaxQuery+1)}, core.KindTooLarge},
		"too many":       {events.Query{Tenant: ours, Limit: events.MaxLimit + 1}, core.KindInvalid},
		"fewer than 0":   {events.Query{Tenant: ours, Limit: -1}, core.KindInvalid},
		"backwards":      {events.Query{Tenant: ours, From: now, To: now.Add(-time.Second)}, core.KindInvalid},
		"no time at all": {events.Query{Tenant: ours, From: now, To: now}, core.KindInvalid},
	} {
		if _, err := c.Search(t.Context(), tc.q); core.KindOf(err) != tc.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.Insert(t.Context(), []events.Row{{Offset: 1}}); core.KindOf(err) != core.KindInvalid {
		t.Errorf("a row without a tenant: %v", err)
	}
}

// lineOf reads a row's line as the store would.
func lineOf(t testing.TB, r events.Row) map[string]string {
	t.Helper()
	line := events.Line(r)
	if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "}\n") || len(line) > 256<<10-1 {
		t.Fatalf("a line of %d bytes with %d ends", len(line), strings.Count(line, "\n"))
	}
	d := json.NewDecoder(strings.NewReader(line))
	if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
		t.Fatal(err)
	}
	fields := map[string]string{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value string
		if err := d.Decode(&value); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if _, twice := fields[name.(string)]; twice {
			t.Fatalf("%q stands in the line twice", name)
		}
		fields[name.(string)] = value
	}
	return fields
}

func TestNoFieldTakesThePlaceOfWhatTheReceiverKnows(t *testing.T) {
	now := time.Now().UTC()
	r := row(ours, 7, 3, now, "msg")
	for _, name := range []string{
		"", "_time", "_msg", "_stream", "_stream_id", "tenant", "source", "journal.partition", "journal.offset", "journal.index", "journal.cut",
	} {
		r.Fields = append(r.Fields, events.Field{Name: name, Value: "forged"}, events.Field{Name: name, Value: "forged again"})
	}
	got := lineOf(t, r)
	for name, want := range map[string]string{
		"_time": now.Format(time.RFC3339Nano), "_msg": "msg", "tenant": "ours", "source": "device/press-7", "journal.partition": "0", "journal.offset": "7", "journal.index": "3",
		"field.tenant": "forged", "field._time": "forged", "field.": "forged",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if len(got) != 7+11 {
		t.Errorf("%d fields: %v", len(got), got)
	}
	s := newStore(t)
	s.put(t, r)
	if hits := s.search(t, ours, `"field.tenant":forged tenant:ours source:"device/press-7" "journal.offset":=7`); len(hits) != 1 || !hits[0].Time.Equal(now) {
		t.Errorf("%+v", hits)
	}
}

func TestRowsStayWithinTheStoresLimits(t *testing.T) {
	s := newStore(t)
	big := row(ours, 1, 0, time.Now(), strings.Repeat("\x00", 1<<20), events.Field{Name: strings.Repeat("n", 300), Value: "long name"}, events.Field{Name: "big", Value: strings.Repeat("ä", 1<<20)})
	many := row(ours, 1, 1, time.Now(), "many")
	for i := range 2000 {
		many.Fields = append(many.Fields, events.Field{Name: fmt.Sprintf("f%d", i), Value: "v"})
	}
	wide := row(ours, 1, 2, time.Now(), "wide")
	for i := range 100 {
		wide.Fields = append(wide.Fields, events.Field{Name: fmt.Sprintf("w%d", i), Value: strings.Repeat("\x01", 10_000)})
	}
	s.put(t, big, many, wide, row(ours, 1, 3, time.Now(), "\xff\xfe not UTF-8 \xc3("))
	found, err := s.Client().Stored(t.Context(), ours, 0, 1, 1, time.Now().Add(-time.Hour), time.Now())
	if err != nil || len(found) != 4 {
		t.Errorf("%v %v", found, err)
	}
	if hits := s.search(t, ours, `"journal.cut":=true`); len(hits) != 3 {
		t.Errorf("%d rows say that they are cut, want 3", len(hits))
	}
}

// TestHostileTextIsData sends text that means something to terminals, browsers,
// JSON and LogsQL through the store and back.
func TestHostileTextIsData(t *testing.T) {
	s := newStore(t)
	texts := []string{
		"<script>alert(1)</script>", "\x1b[2J\x1b[31mred", "\u202egnp.exe", "a\nb\r\n{\"_msg\":\"second line\",\"tenant\":\"theirs\"}\n", `"}{"tenant":"theirs"}`, `\" \\ \u0000`, "\x00nul",
		"'; DROP TABLE events; --", "* | union (*)", "${jndi:ldap://x}", "💥\U0010ffff", "{\"nested\":{\"json\":[1,2]}}", "\u2028\u2029\ufeff",
	}
	rows := make([]events.Row, 0, len(texts))
	for i, text := range texts {
		rows = append(rows, row(ours, 1, i, time.Now(), text, events.Field{Name: text, Value: text}, events.Field{Name: "n", Value: fmt.Sprint(i)}))
	}
	s.put(t, rows...)
	for i, text := range texts {
		hits := s.search(t, ours, fmt.Sprintf("n:=%d", i))
		if len(hits) != 1 || hits[0].Fields[events.FieldMessage] != text || hits[0].Fields[text] != text || hits[0].Fields["tenant"] != "ours" {
			t.Errorf("%q comes back as %+q", text, hits)
		}
	}
	if hits := s.search(t, theirs, "*"); len(hits) != 0 {
		t.Errorf("a text made rows of another tenant: %+v", hits)
	}
}

func FuzzRow(f *testing.F) {
	f.Add("msg", "name", "value")
	f.Add("\x00\xff\n\"", "", "{}")
	f.Add("", "tenant", "\u2028")
	f.Fuzz(func(t *testing.T, message, name, value string) {
		at := time.Unix(1_700_000_000, 0)
		got := lineOf(t, row(ours, 1, 0, at, message, events.Field{Name: name, Value: value}, events.Field{Name: "field." + name, Value: value}))
		if got["tenant"] != "ours" || got["journal.offset"] != "1" || got["_time"] != at.UTC().Format(time.RFC3339Nano) {
			t.Errorf("%q, %q, %q: %v", message, name, value, got)
		}
		if len(message) < 1000 && got["_msg"] != strings.ToValidUTF8(message, "\ufffd") && !strings.Contains(got["_msg"], "\ufffd") {
			t.Errorf("%q became %q", message, got["_msg"])
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"_msg":"x","_time":"2026-01-31T00:00:00Z"}` + "\n"))
	f.Add([]byte(`{"hits":[{"fields":{},"timestamps":["2026-01-31T00:00:00Z"],"values":[1],"total":1}]}`))
	f.Add([]byte("{}\n\n[1]\n"))
	f.Add([]byte(`{"journal.offset":"1","journal.index":"2"}`))
	f.Add([]byte(`{"n":"-1"}`))
	c := events.NewClient(events.Config{Insert: "http://store", Select: "http://store", Transport: body{}})
	f.Fuzz(func(t *testing.T, answer []byte) {
		ctx := context.WithValue(t.Context(), body{}, answer)
		at := time.Unix(1_700_000_000, 0)
		q := events.Query{Tenant: ours, From: at, To: at.Add(time.Hour)}
		if hits, err := c.Search(ctx, q); err == nil && len(hits) > bytes.Count(answer, []byte("\n"))+1 {
			t.Errorf("%d hits in %d bytes", len(hits), len(answer))
		}
		if buckets, err := c.Histogram(ctx, q, time.Minute); err == nil && len(buckets) != 61 {
			t.Errorf("%d buckets", len(buckets))
		}
		_, _ = c.Stored(ctx, ours, 0, 1, 2, at, at)
		_, _ = c.Count(ctx, ours, 0, 1, 2, at, at)
	})
}

// body answers every request with what its context carries.
type body struct{}

func (body) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, _ := r.Context().Value(body{}).([]byte)
	return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(answer)), Request: r}, nil
}

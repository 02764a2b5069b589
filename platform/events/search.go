package events

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/interlock-security/interlock/core"
)

// Limits of a search.
const (
	MaxQuery     = 8 << 10 // bytes of LogsQL
	DefaultLimit = 100
	MaxLimit     = 10_000
	MaxBuckets   = 1_000
	maxLine      = 4 << 20  // bytes of one hit
	maxAnswer    = 64 << 20 // bytes of all
)

// Query is what is searched for. Its text never chooses the tenant.
type Query struct {
	Tenant core.TenantID
	// LogsQL is the filter, with pipes if wanted; "" means everything.
	LogsQL string
	// From and To bound the time, To not included; zero means no bound.
	From, To time.Time
	// Limit is how many hits at most, the newest; 0 means [DefaultLimit].
	Limit int
}

// Hit is one row of an answer. An event has the fields named by the Field
// constants beside its own; what a pipe like `stats` makes has other fields and
// may have no time.
type Hit struct {
	Time   time.Time         `json:"time,omitzero"`
	Fields map[string]string `json:"fields"`
}

// Bucket is how many events matched from Start on, for one step.
type Bucket struct {
	Start time.Time `json:"start"`
	Count uint64    `json:"count"`
}

func (q Query) validate(op string) error {
	switch {
	case q.Tenant.IsZero():
		return core.E(core.KindInvalid, op, "a search has a tenant")
	case len(q.LogsQL) > MaxQuery:
		return core.E(core.KindTooLarge, op, fmt.Sprintf("the query has %d bytes, at most %d are allowed", len(q.LogsQL), MaxQuery))
	case q.Limit < 0 || q.Limit > MaxLimit:
		return core.E(core.KindInvalid, op, fmt.Sprintf("the limit is %d; it lies between 1 and %d", q.Limit, MaxLimit))
	case !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To):
		return core.E(core.KindInvalid, op, "the time to begin at does not lie before the one to end at")
	}
	return nil
}

// form is the query as the store takes it. The filter by tenant is the store's
// own to add, to the query and to all that is nested in it: the text is parsed
// before it comes in. It is no filter by stream: the store remembers that a
// stream is not there, for minutes, if it is asked within the second in which
// the stream begins.
func (q Query) form() url.Values {
	f := url.Values{
		"query":         {cmp.Or(q.LogsQL, "*")},
		"extra_filters": {FieldTenant + ":=" + strconv.Quote(q.Tenant.String())},
		"timeout":       {(searchTimeout - time.Second).String()},
	}
	if !q.From.IsZero() {
		f.Set("start", q.From.UTC().Format(time.RFC3339Nano))
	}
	if !q.To.IsZero() {
		f.Set("end", q.To.UTC().Format(time.RFC3339Nano))
	}
	return f
}

// Search returns what the query matches, the newest first. A query whose pipes
// give an order of their own keeps that.
func (c *Client) Search(ctx context.Context, q Query) ([]Hit, error) {
	const op = "events.Search"
	if err := q.validate(op); err != nil {
		return nil, err
	}
	form := q.form()
	form.Set("limit", strconv.Itoa(cmp.Or(q.Limit, DefaultLimit)))
	ctx, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	body, err := c.ask(ctx, request{op: op, path: "/select/logsql/query", tenant: q.Tenant, form: form})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	hits, timed := []Hit{}, true
	err = c.lines(ctx, op, body, func(line []byte) error {
		h, err := hit(line)
		hits, timed = append(hits, h), timed && !h.Time.IsZero()
		return err
	})
	if err != nil {
		return nil, err
	}
	if timed && !ordered(q.LogsQL) {
		slices.SortStableFunc(hits, func(a, b Hit) int { return b.Time.Compare(a.Time) })
	}
	return hits, nil
}

// ordered reports whether a query may have an order of its own: it has a pipe.
// One that only holds the sign in quotes keeps the store's order, which is the
// same but for hits of one instant.
func ordered(logsQL string) bool { return bytes.IndexByte([]byte(logsQL), '|') >= 0 }

// hit reads one line: a flat object of texts.
func hit(line []byte) (Hit, error) {
	var h Hit
	if err := json.Unmarshal(line, &h.Fields); err != nil || h.Fields == nil {
		return h, core.E(core.KindDamaged, "events.Search", fmt.Sprintf("the event store answers with what is no hit: %s", complaint(line)))
	}
	at, timed := h.Fields[fieldTime]
	if !timed {
		return h, nil
	}
	t, err := time.Parse(time.RFC3339Nano, at)
	if err == nil {
		h.Time = t.UTC()
		delete(h.Fields, fieldTime)
	}
	return h, nil // a pipe may put other text where the time was
}

// lines hands each line of an answer to fn, within the limits.
func (c *Client) lines(ctx context.Context, op string, body io.Reader, fn func([]byte) error) error {
	limited := &io.LimitedReader{R: body, N: c.most + 1}
	s := bufio.NewScanner(limited)
	s.Buffer(make([]byte, 0, 64<<10), maxLine)
	for s.Scan() {
		if len(s.Bytes()) == 0 {
			continue
		}
		if limited.N == 0 {
			return tooLarge(op)
		}
		if err := fn(s.Bytes()); err != nil {
			if broken := s.Err(); broken != nil { // it was half a line
				return c.unreachable(ctx, op, broken)
			}
			return err
		}
	}
	switch err := s.Err(); {
	case errors.Is(err, bufio.ErrTooLong) || limited.N == 0:
		return tooLarge(op)
	case err != nil:
		return c.unreachable(ctx, op, err)
	}
	return nil
}

func tooLarge(op string) error {
	return core.E(core.KindTooLarge, op, fmt.Sprintf("the answer is over %d bytes, or a line of it over %d", maxAnswer, maxLine)).
		WithHint("ask for fewer hits, or for fewer fields with: | fields _time, source, type")
}

// Histogram counts what the query matches in steps of time from From to To,
// which it needs. Buckets begin at multiples of the step; none is left out.
func (c *Client) Histogram(ctx context.Context, q Query, step time.Duration) ([]Bucket, error) {
	const op = "events.Histogram"
	if err := q.validate(op); err != nil {
		return nil, err
	}
	if q.From.IsZero() || q.To.IsZero() || step < time.Second || step%time.Second != 0 || q.To.Sub(q.From)/step >= MaxBuckets {
		return nil, core.E(core.KindInvalid, op, fmt.Sprintf("a histogram has a time to begin and to end at and fewer than %d steps of whole seconds", MaxBuckets))
	}
	form := q.form()
	form.Set("step", strconv.FormatInt(int64(step/time.Second), 10)+"s")
	ctx, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	body, err := c.ask(ctx, request{op: op, path: "/select/logsql/hits", tenant: q.Tenant, form: form})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, maxLine+1))
	if err != nil {
		return nil, c.unreachable(ctx, op, err)
	}
	counts, err := countsOf(op, text)
	if err != nil {
		return nil, err
	}
	return buckets(counts, q.From, q.To, step), nil
}

// countsOf reads the store's histogram, by the second at which a step begins.
func countsOf(op string, text []byte) (map[int64]uint64, error) {
	var answer struct {
		Hits []struct {
			Timestamps []time.Time `json:"timestamps"`
			Values     []uint64    `json:"values"`
		} `json:"hits"`
	}
	if len(text) > maxLine {
		return nil, tooLarge(op)
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, core.E(core.KindDamaged, op, "the event store answers with what is no histogram: "+complaint(text))
	}
	counts := map[int64]uint64{}
	for _, series := range answer.Hits {
		if len(series.Timestamps) != len(series.Values) {
			return nil, core.E(core.KindDamaged, op, "the event store's histogram has more times than counts, or fewer")
		}
		for i, at := range series.Timestamps {
			counts[at.Unix()] += series.Values[i]
		}
	}
	return counts, nil
}

func buckets(counts map[int64]uint64, from, to time.Time, step time.Duration) []Bucket {
	width := int64(step / time.Second)
	out := []Bucket{}
	for at := floor(from.Unix(), width); at < to.Unix() || len(out) == 0; at += width {
		out = append(out, Bucket{Start: time.Unix(at, 0).UTC(), Count: counts[at]})
	}
	return out
}

// floor is the largest multiple of width that is not above at, also before 1970.
func floor(at, width int64) int64 { return at - ((at%width)+width)%width }

// complaint is the beginning of a text from outside, fit for a message.
func complaint(text []byte) string {
	const most = 300
	text = bytes.TrimSpace(text)
	if len(text) > most {
		text = text[:most]
	}
	return strconv.Quote(string(text))
}

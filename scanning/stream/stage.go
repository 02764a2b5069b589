package stream

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/standard"
)

// Sink takes what was found, within the transaction that moves the cursor.
type Sink interface {
	Take(ctx context.Context, tx *store.Tx, tenant core.TenantID, r scanning.Report) error
}

// Detector finds leaks in a text. *detect.Detector is one.
type Detector interface {
	Scan(t detect.Text, emit func(*detect.Leak)) []detect.Gap
}

// Limits of what is told.
const (
	// Again is how long a leak that was told is not told again.
	Again = time.Hour
	// PerHour is how many leaks of one rule a source may have in an hour.
	PerHour = 20
	// maxRemembered bounds what was told lately. Who can forge sources or lines gets
	// no further than being told again.
	maxRemembered = 8192
)

// Config is what is looked for in events, one layer deep: what a machine encodes for
// its own use is seldom nested further. A word in the line excuses nothing, as it does in
// a file: whoever can write to a log could keep what they leak out of sight by it. And
// nothing in an event was made up to show something.
func Config() detect.Config {
	c := standard.Config()
	c.Decode, c.Inline, c.Sample = 1, nil, nil
	return c
}

// Tool is the stage's name in reports.
const Tool = "interlock-secrets-stream"

// Stage looks for secrets in the events of one partition. make is called before the
// first event: a detector takes a moment to be made.
func Stage(raw journal.Reader, partition int32, make func() (Detector, error), sink Sink) journal.Stage {
	s := &stage{make: make, sink: sink}
	s.forget()
	return journal.Stage{
		Name: "leaks", From: raw, Partition: partition, Handle: s.handle,
		Restore: func(context.Context, *store.Tx) error { s.forget(); return nil },
	}
}

type stage struct {
	make     func() (Detector, error)
	detector Detector
	sink     Sink
	// told holds when a leak was told, counts how many of a rule since an hour began.
	told   map[string]time.Time
	counts map[string]int
	hour   time.Time
	// text joins the records of a frame, so that a thousand small ones cost one look.
	text  bytes.Buffer
	lines []int
}

func (s *stage) forget() {
	s.told, s.counts, s.hour = map[string]time.Time{}, map[string]int{}, time.Time{}
}

func (s *stage) handle(ctx context.Context, tx *store.Tx, f journal.Frame) error {
	if f.Kind != journal.KindEvents || len(f.Records) == 0 || !outside(f.Source) {
		return nil
	}
	if s.detector == nil {
		var err error
		if s.detector, err = s.make(); err != nil {
			return err
		}
	}
	report := s.look(&f)
	if len(report.Findings)+len(report.Gaps) == 0 {
		return nil
	}
	return s.sink.Take(ctx, tx, f.Tenant, report)
}

// outside leaves out the server's own words: they tell of leaks, redacted, and would
// be found again for ever.
func outside(source string) bool {
	return strings.Contains(source, "/") && !strings.HasPrefix(source, "rules/")
}

// look scans a frame's records.
func (s *stage) look(f *journal.Frame) scanning.Report {
	s.join(f.Records)
	r := scanning.Report{
		Tool: scanning.Tool{Name: Tool}, Started: f.Received, Finished: f.Received,
		Scope: scanning.Scope{Kind: scanning.ScopeStream, Name: f.Source, Revision: fmt.Sprintf("%d/%d", f.Partition, f.Offset), Excluded: []string{"*"}},
	}
	if hour := f.Received.Truncate(time.Hour); !hour.Equal(s.hour) {
		s.hour = hour
		clear(s.counts)
	}
	gaps := s.detector.Scan(detect.Text{Body: s.text.Bytes()}, func(l *detect.Leak) { s.leak(f, l, &r) })
	for _, g := range gaps {
		r.Gaps = append(r.Gaps, scanning.Gap{What: f.Source, Why: g.Why, Reason: scanning.ReasonTooMany})
	}
	return r
}

// join puts each record on lines of its own and notes where it begins.
func (s *stage) join(records [][]byte) {
	s.text.Reset()
	s.lines = s.lines[:0]
	line := 1
	for _, rec := range records {
		s.lines = append(s.lines, line)
		// A NUL would make all of the frame count as binary, which is read less.
		if bytes.IndexByte(rec, 0) >= 0 {
			rec = bytes.ReplaceAll(rec, []byte{0}, nil)
		}
		s.text.Write(rec)
		s.text.WriteByte('\n')
		line += 1 + bytes.Count(rec, []byte{'\n'})
	}
}

// record is the number of the record, from 0, in which a line is.
func (s *stage) record(line int) int {
	i, found := slices.BinarySearch(s.lines, line)
	if !found {
		i--
	}
	return max(i, 0)
}

func (s *stage) leak(f *journal.Frame, l *detect.Leak, r *scanning.Report) {
	found := scanning.Finding{
		Rule: l.Rule, Class: scanning.ClassSecret, Title: l.Title + " in a log", Severity: l.Severity, Redacted: l.Redacted,
		Detail: fmt.Sprintf("event %d of journal offset %d/%d", s.record(l.Line), f.Partition, f.Offset),
		Advice: "replace the secret, then have its writer leave it out: logs are kept, copied and searched",
		Tags:   append([]string{string(l.Kind), "log"}, l.Tags...), Location: scanning.Location{File: f.Source, Context: fold(l.Excerpt)},
	}
	found.Fingerprint = scanning.Fingerprint(&found)
	if !s.fresh(f, found.Fingerprint) {
		return
	}
	key := f.Tenant.String() + "\x00" + f.Source + "\x00" + l.Rule
	s.counts[key]++
	switch n := s.counts[key]; {
	case n <= PerHour:
		r.Findings = append(r.Findings, found)
	case n == PerHour+1:
		r.Gaps = append(r.Gaps, scanning.Gap{
			What: f.Source, Reason: scanning.ReasonTooMany,
			Why: fmt.Sprintf("more than %d different leaks of %s in an hour: the others of this hour are not told one by one", PerHour, l.Rule),
		})
	}
}

// fresh reports whether a leak was not told lately.
func (s *stage) fresh(f *journal.Frame, fingerprint string) bool {
	key := f.Tenant.String() + fingerprint
	if at, known := s.told[key]; known && f.Received.Sub(at) < Again {
		return false
	}
	if len(s.told) >= maxRemembered || len(s.counts) >= maxRemembered {
		clear(s.told)
		clear(s.counts)
	}
	s.told[key] = f.Received
	return true
}

// fold leaves out of a line what differs each time: numbers, times, identifiers. It
// keeps what is near the secret.
func fold(excerpt string) string {
	var out strings.Builder
	for word := range strings.FieldsFuncSeq(excerpt, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' }) {
		if before, after, hidden := strings.Cut(word, "…"); hidden {
			word = trimShown(before, len(before), -1) + "…" + trimShown(after, 0, 1)
		} else if strings.ContainsAny(word, "0123456789") {
			word = "#"
		}
		if out.Len() > 0 {
			out.WriteByte(' ')
		}
		out.WriteString(word)
	}
	return out.String()
}

// mostShown is how many bytes of a secret are shown on each side.
const mostShown = 4

// trimShown takes off what is shown of a secret: the next one shows something else.
func trimShown(s string, at, step int) string {
	for range mostShown {
		i := at
		if step < 0 {
			i--
		}
		if i < 0 || i >= len(s) || !alphanumeric(s[i]) {
			break
		}
		at += step
	}
	if step < 0 {
		return s[:at]
	}
	return s[at:]
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

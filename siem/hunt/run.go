package hunt

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/interlock-security/interlock/siem/hunt/evtx"
	"github.com/interlock-security/interlock/siem/sigma"
)

// ahead is how many blocks of one file wait to be put together.
const ahead = 4

// hunt is one that runs.
type hunt struct {
	Config
	res   *Result
	every []sigma.Logsource
	feeds map[*sigma.Rule]bool
	facts []fact
	// engines are of single rules, for all workers.
	engines struct {
		sync.Mutex
		of map[*sigma.Rule]*sigma.Engine
	}
	// bursts are the last matches of correlations' groups, by their place.
	bursts map[burst]int
	bytes  int64    // of the fields of matches and facts
	visit  *visitor // nil where rules are asked
}

// run reads, matches and puts together. Files are read side by side, at most as
// many as there are workers; what they give is taken in their order.
func (h *hunt) run(ctx context.Context) {
	h.feeds = make(map[*sigma.Rule]bool)
	h.engines.of = make(map[*sigma.Rule]*sigma.Engine)
	for _, r := range h.Engine.Rules() {
		h.feeds[r] = len(h.Engine.Feeds(r.ID)) > 0
	}
	work := make(chan *block, h.Workers)
	files := make(chan *file, h.Workers)
	for range h.Workers {
		go func() {
			w := h.newWorker()
			for b := range work {
				w.do(b)
			}
		}()
	}
	go func() {
		h.readAll(ctx, files, work)
		close(work)
	}()
	for h.more(ctx, files) {
	}
}

// more takes the next file. It does not wait for a reader that can't be
// interrupted: nobody may ever write into standard input.
func (h *hunt) more(ctx context.Context, files <-chan *file) bool {
	select {
	case f, ok := <-files:
		return ok && h.take(ctx, f)
	case <-ctx.Done():
		return false
	}
}

// readAll starts a reader for each file, and waits until all have ended.
func (h *hunt) readAll(ctx context.Context, files chan<- *file, work chan<- *block) {
	defer close(files)
	slots := make(chan struct{}, h.Workers)
	var reading sync.WaitGroup
	index := 0
	h.walk(ctx, func(it item) bool {
		f := &file{item: it, index: index, blocks: make(chan *block, ahead)}
		index++
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return false
		}
		select {
		case files <- f:
		case <-ctx.Done():
			return false
		}
		reading.Go(func() {
			h.read(ctx, f, work)
			close(f.blocks)
			<-slots
		})
		return true
	})
	reading.Wait()
}

// read cuts one file into blocks.
func (h *hunt) read(ctx context.Context, f *file, work chan<- *block) {
	if f.open == nil || f.fault != "" {
		return
	}
	opened, err := f.open()
	if err != nil {
		f.fault = plain(err)
		return
	}
	s, err := newSource(&interruptible{ctx, opened}, &h.Progress.Read)
	if err != nil {
		f.fault = plain(err)
		return
	}
	defer s.close()
	f.err = h.cut(f, s, func(b *block) bool {
		b.file, b.done = f, make(chan struct{})
		select {
		case f.blocks <- b:
		case <-ctx.Done():
			return false
		}
		work <- b // workers never wait for anybody
		return true
	})
}

// interruptible ends with its context.
type interruptible struct {
	ctx context.Context
	io.ReadCloser
}

func (i *interruptible) Read(p []byte) (int, error) {
	if i.ctx.Err() != nil {
		return 0, errStopped
	}
	return i.ReadCloser.Read(p)
}

func (h *hunt) cut(f *file, s *source, put func(*block) bool) (err error) {
	head, err := s.Peek(peek)
	if len(head) == 0 {
		return unlessEnd(err)
	}
	if f.form, f.dialect, err = sniff(head, err != nil); err != nil {
		return err
	}
	if f.form == formLines || f.form == formDocs || f.form == formWrapped {
		f.inner = envelopeOf(head)
	}
	switch f.form {
	case formDocs:
		return documents(s, "", put)
	case formWrapped:
		return documents(s, wrapperOf(head), put)
	case formEvtx:
		from := 0
		if !evtx.IsChunk(head) {
			if from, err = s.Discard(evtx.HeaderSize); err != nil {
				return errors.New("ends within its header")
			}
		}
		return chunks(s, evtx.ChunkSize, int64(from), put)
	}
	return lines(s, put)
}

// take puts a file's blocks together, in their order. It is false when the hunt
// was interrupted.
func (h *hunt) take(ctx context.Context, f *file) bool {
	events, line := 0, 0
	for open := true; open; {
		var b *block
		select {
		case b, open = <-f.blocks:
		case <-ctx.Done():
			return false
		}
		if open {
			<-b.done // workers never wait
			h.merge(f, b, events, line)
			events += b.events
			line += b.lines
		}
	}
	switch {
	case f.link:
		h.res.Links++
		return true
	case f.fault != "":
		h.fault(f, Fault{Event: -1, Why: f.fault})
	case f.err != nil && !errors.Is(f.err, errStopped):
		h.fault(f, Fault{Event: -1, Why: plain(f.err)})
	}
	h.res.Files++
	h.Progress.Files.Add(1)
	return true
}

// merge turns places within a block into places within the file.
func (h *hunt) merge(f *file, b *block, events, line int) {
	for i := range b.hits {
		b.hits[i].event += events
		h.keep(f, b.hits[i])
	}
	for _, fault := range b.faults {
		if fault.Event >= 0 {
			fault.Event += events
		}
		if fault.Line > 0 {
			fault.Line += line
		}
		h.fault(f, fault)
	}
	h.res.Events += b.events
	h.res.Unrouted += b.unrouted
}

func (h *hunt) fault(f *file, fault Fault) {
	fault.File = f.name
	h.res.FaultCount++
	if len(h.res.Faults) < maxFaults {
		h.res.Faults = append(h.res.Faults, fault)
	}
}

// keep decides what becomes of one hit.
func (h *hunt) keep(f *file, t hit) {
	if t.facts != nil || h.feeds[t.rule] {
		h.feed(f, t)
	}
	if t.alerts && h.within(t) {
		h.add(Match{Rule: t.rule, File: f.name, Event: t.event, Time: t.time, Host: t.host, Fields: t.fields, Why: t.why, file: f.index})
	}
}

// within reports whether a match lies in the time that was asked for.
func (h *hunt) within(t hit) bool {
	out := !h.From.IsZero() && t.time.Before(h.From) || !h.To.IsZero() && t.time.After(h.To)
	if t.time.IsZero() && (!h.From.IsZero() || !h.To.IsZero()) {
		out = true
	}
	if out {
		h.res.Outside++
	}
	return !out
}

// add keeps a match where there is room.
func (h *hunt) add(m Match) bool {
	if len(h.res.Matches) >= h.Matches {
		h.res.Incomplete = fmt.Sprintf("there are more matches than the %d that are kept", h.Matches)
		return false
	}
	if !h.fits(m.Fields) {
		return false
	}
	if m.Time.IsZero() {
		h.res.Untimed++
	}
	h.Progress.Matches.Add(1)
	h.res.Matches = append(h.res.Matches, m)
	return true
}

// fits takes room for the fields of a match, where there is some.
func (h *hunt) fits(fields []sigma.Field) bool {
	var n int64
	for _, f := range fields {
		n += int64(len(f.Name) + len(f.Value))
	}
	if h.bytes+n > h.Memory {
		h.res.Incomplete = fmt.Sprintf("the matches have more than the %d MiB of fields that are kept; search fewer files, or with fewer rules", h.Memory>>20)
		return false
	}
	h.bytes += n
	return true
}

func (h *hunt) finish(ctx context.Context) *Result {
	if ctx.Err() != nil {
		h.res.Incomplete = "interrupted"
	}
	h.correlate()
	h.res.Bytes = h.Progress.Read.Load()
	slices.SortStableFunc(h.res.Matches, func(a, b Match) int {
		if a.Time.IsZero() != b.Time.IsZero() {
			if a.Time.IsZero() {
				return 1
			}
			return -1
		}
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.file, b.file), cmp.Compare(a.Event, b.Event), cmp.Compare(a.Rule.ID, b.Rule.ID))
	})
	return h.res
}

// place names a place in a file that has no lines.
func place(at int64, err error) string { return fmt.Sprintf("at byte %d: %v", at, err) }

// unescape reads the inside of a JSON string.
func unescape(b []byte) string {
	var s string
	if json.Unmarshal([]byte(`"`+string(b)+`"`), &s) != nil {
		return string(b)
	}
	return s
}

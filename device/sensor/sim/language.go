package sim

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // "begins" names a zone, and a small device knows none

	"github.com/interlock-security/interlock/core"
)

// Limits of a scenario: it is an operator's file, but a file all the same.
const (
	maxLine     = 4 << 10
	maxEntries  = 100_000
	maxLength   = 366 * 24 * time.Hour
	maxNumber   = 1e9
	maxRate     = 10_000
	defaultPace = time.Second
	maxPace     = 10 * time.Minute
)

var typeRE = regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)

// Scenario is what happens to a simulated sensor, in time. See
// docs/reference/scenario.md for the language. The zero value is a sensor to
// which nothing happens.
type Scenario struct {
	entries []entry // by time
	seed    uint64
	pace    time.Duration
	begins  time.Time
}

// Begins is when the scenario says that it begins, zero where it does not.
func (s Scenario) Begins() time.Time { return s.begins }

// parser reads a scenario line by line.
type parser struct {
	Scenario
	cursor time.Duration // when the next statement happens
	repeat *block
	told   bool // a statement has been read
	live   bool // it is one line from a socket
}

// block is what stands between repeat and done.
type block struct {
	line    int
	times   int
	every   time.Duration
	start   time.Duration
	entries []entry
}

// ParseScript reads a scenario: one statement a line. Blank lines and what
// follows a # are skipped. The error names the line and says what to write.
func ParseScript(script []byte) (Scenario, error) {
	p := &parser{}
	for i, line := range strings.Split(string(script), "\n") {
		if err := p.line(line, i+1); err != nil {
			return Scenario{}, atLine(i+1, err)
		}
	}
	if p.repeat != nil {
		return Scenario{}, atLine(p.repeat.line, errors.New("repeat has no end; write done on a line of its own below what it repeats"))
	}
	slices.SortStableFunc(p.entries, func(a, b entry) int { return cmp.Compare(a.at, b.at) })
	return p.Scenario, nil
}

func atLine(n int, err error) error {
	return core.Wrap(core.KindInvalid, "", fmt.Errorf("line %d: %w", n, err))
}

// ParseLine reads one statement, as it comes over the socket: it happens now.
func ParseLine(line []byte) (Scenario, error) {
	p := &parser{live: true}
	if err := p.line(string(line), 1); err != nil {
		return Scenario{}, core.Wrap(core.KindInvalid, "", err)
	}
	if p.repeat != nil {
		return Scenario{}, core.E(core.KindInvalid, "", "repeat takes several lines; write it into a file")
	}
	return p.Scenario, nil
}

func (p *parser) line(line string, n int) error {
	if len(line) > maxLine {
		return fmt.Errorf("%d bytes; at most %d are read", len(line), maxLine)
	}
	if strings.HasPrefix(strings.TrimSpace(line), "{") {
		return p.step(strings.TrimSpace(line))
	}
	w, err := split(line)
	if err != nil || len(w.left) == 0 {
		return err
	}
	if p.header(w) {
		return w.err
	}
	p.when(w)
	if w.err != nil || len(w.left) == 0 {
		return w.err
	}
	return p.statement(w, n)
}

// step reads a statement as programs write it.
func (p *parser) step(line string) error {
	s, err := ParseStep([]byte(line))
	if err != nil {
		return err
	}
	all, takes := s.entries()
	for _, e := range all {
		if err := p.add(e.at, e.do); err != nil {
			return err
		}
	}
	p.cursor += takes
	p.told = true
	return p.tooLong()
}

// header reads what stands at the top: seed, pace, begins.
func (p *parser) header(w *words) bool {
	word := w.peek()
	if word != "seed" && word != "pace" && word != "begins" {
		return false
	}
	w.take("")
	if p.told || p.live || p.repeat != nil {
		w.fail("%s stands at the top of a file, before all statements", word)
		return true
	}
	switch word {
	case "seed":
		seed, err := strconv.ParseUint(w.take("the seed"), 10, 64)
		if err != nil {
			w.fail("seed: write a whole number, like seed 42")
		}
		p.seed = seed
	case "pace":
		if p.pace = w.duration("pace"); w.err == nil && (p.pace < time.Millisecond || p.pace > maxPace) {
			w.fail("pace: %s; allowed are 1ms to %s", p.pace, maxPace)
		}
	case "begins":
		p.begins = w.instant()
	}
	w.done()
	return true
}

// instant takes a day, a time of day and a zone.
func (w *words) instant() time.Time {
	text := w.take("the day") + " " + w.take("the time of day")
	zone, err := time.LoadLocation(cmp.Or(w.take("the zone"), "-"))
	if w.err != nil {
		return time.Time{}
	}
	at, err2 := time.ParseInLocation("2006-01-02 15:04", text, cmp.Or(zone, time.UTC))
	if err != nil || err2 != nil || at.Year() < 1971 || at.Year() > 2200 {
		w.fail("begins: write a day, a time and a zone, like 2026-03-28 18:00 Europe/Berlin")
	}
	return at
}

// when reads the time at the beginning of a statement.
func (p *parser) when(w *words) {
	switch {
	case w.has("at"):
		p.at(w)
	case w.has("after"):
		p.cursor += w.duration("after")
	case w.has("wait"):
		p.cursor += w.duration("wait")
		w.done()
	default:
		return
	}
	if w.err == nil {
		if err := p.tooLong(); err != nil {
			w.fail("%v", err)
		}
	}
}

func (p *parser) tooLong() error {
	if p.cursor > maxLength {
		return fmt.Errorf("a scenario is no longer than %s", maxLength)
	}
	return nil
}

// at reads a time since the beginning, or, where the scenario says when it
// begins, the next such time of day.
func (p *parser) at(w *words) {
	text := w.take("the time")
	if p.live || p.repeat != nil {
		w.fail("at %.20s has no meaning here; write after and how long after", text)
	}
	at, ok := parseClock(text)
	if w.err == nil && !ok {
		w.fail("%.20q is no time; write one like 09:00 or 09:00:30", text)
	}
	if w.err != nil {
		return
	}
	if !p.begins.IsZero() {
		if at, ok = p.next(at); !ok {
			w.fail("no such time of day comes within two days of the statement before")
			return
		}
	}
	if at < p.cursor {
		w.fail("at %s is before the statement above it; sort them, or write after", text)
	}
	p.cursor = at
}

// next is the next instant that the scenario's zone calls so, since its
// beginning.
func (p *parser) next(of time.Duration) (time.Duration, bool) {
	if of >= 24*time.Hour {
		return 0, false
	}
	now := p.begins.Add(p.cursor)
	for x := now.Truncate(time.Minute).Add(-time.Minute); x.Before(now.Add(49 * time.Hour)); x = x.Add(time.Minute) {
		local := x.In(p.begins.Location())
		at := x.Add(of % time.Minute)
		if local.Hour()*60+local.Minute() == int(of/time.Minute) && !at.Before(now) {
			return at.Sub(p.begins), true
		}
	}
	return 0, false
}

// parseClock reads hours, minutes and perhaps seconds. Hours may go past 24.
func parseClock(text string) (time.Duration, bool) {
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return 0, false
	}
	var at time.Duration
	for i, unit := range []time.Duration{time.Hour, time.Minute, time.Second}[:len(parts)] {
		n, err := strconv.ParseUint(parts[i], 10, 16)
		if err != nil || len(parts[i]) < 2 || (i > 0 && n > 59) {
			return 0, false
		}
		at += time.Duration(n) * unit
	}
	return at, at <= maxLength
}

// statement reads what happens.
func (p *parser) statement(w *words, n int) error {
	p.told = true
	word := w.take("")
	switch word {
	case "repeat":
		return p.begin(w, n)
	case "done":
		return p.expand(w)
	}
	i := slices.IndexFunc(verbs, func(v verb) bool { return v.name == word })
	if i < 0 {
		return fmt.Errorf("%.40q is nothing that can happen; %s", word, suggest(word))
	}
	do := verbs[i].parse(w)
	if w.err != nil {
		return fmt.Errorf("%w; write %s", w.err, verbs[i].usage)
	}
	return p.add(0, do)
}

// add places an action at the cursor, or so long after it.
func (p *parser) add(after time.Duration, do action) error {
	if len(p.entries) >= maxEntries || (p.repeat != nil && len(p.repeat.entries) >= maxEntries) {
		return fmt.Errorf("more than %d things happen", maxEntries)
	}
	e := entry{p.cursor + after, do}
	if p.repeat != nil {
		p.repeat.entries = append(p.repeat.entries, e)
		return nil
	}
	p.entries = append(p.entries, e)
	return nil
}

// begin reads repeat N times every TIME.
func (p *parser) begin(w *words, n int) error {
	const usage = "write repeat NUMBER every TIME, and done below what it repeats"
	times, err := strconv.ParseUint(w.take("how often"), 10, 32)
	w.want("every")
	every := w.duration("every")
	w.done()
	switch {
	case p.repeat != nil:
		return fmt.Errorf("repeat stands within the repeat of line %d; one in another is not read", p.repeat.line)
	case w.err != nil:
		return fmt.Errorf("%w; %s", w.err, usage)
	case err != nil || times == 0 || times > maxEntries || every <= 0:
		return fmt.Errorf("1 to %d times, and some time each; %s", maxEntries, usage)
	}
	p.repeat = &block{line: n, times: int(times), every: every, start: p.cursor}
	return nil
}

// expand places what is repeated, as often as it is.
func (p *parser) expand(w *words) error {
	w.done()
	b := p.repeat
	switch {
	case b == nil:
		return fmt.Errorf("done has no repeat above it")
	case w.err != nil:
		return w.err
	case len(b.entries)*b.times+len(p.entries) > maxEntries:
		return fmt.Errorf("%d statements %d times are more than %d", len(b.entries), b.times, maxEntries)
	case time.Duration(b.times) > maxLength/b.every:
		return fmt.Errorf("a scenario is no longer than %s", maxLength)
	}
	p.repeat = nil
	for i := range b.times {
		for _, e := range b.entries {
			e.at += time.Duration(i) * b.every
			p.entries = append(p.entries, e)
		}
	}
	p.cursor = b.start + time.Duration(b.times)*b.every
	return p.tooLong()
}

// suggest names what was probably meant.
func suggest(word string) string {
	var names []string
	for _, v := range verbs {
		names = append(names, v.name)
	}
	names = append(names, "at", "after", "wait", "repeat", "done", "seed", "pace", "begins")
	best, least := "", 3
	for _, name := range names {
		if d := distance(word, name); d < least {
			best, least = name, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	return "write one of " + strings.Join(names, ", ")
}

// distance is how many letters differ, at most.
func distance(a, b string) int {
	if len(a) > 16 {
		return 16
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := last
			if a[i] != b[j] {
				change++
			}
			last = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func cutWord(text, clear string) (kind, back string) {
	if kind, back, ok := strings.Cut(text, "/"); ok {
		return kind, back
	}
	return text, clear
}

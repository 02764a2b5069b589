package sigmatest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
)

// maxEvents bounds what one test can load.
const maxEvents = 100_000

type stepKind uint8

const (
	stepRules stepKind = iota
	stepLoad
	stepEval
	stepClear
	stepStart
)

// step is one statement of a test.
type step struct {
	kind stepKind
	line int
	// rules
	globs []string
	// load
	every, from, late time.Duration
	events            []eventLine
	// eval
	at      time.Duration
	count   int // expected events, -1 where not said
	alerts  []expected
	matched []held
	// start
	start time.Time
}

type eventLine struct {
	line  int
	text  string
	times int
}

// held says for how many events a rule must hold, whether it alerts or not.
type held struct {
	line  int
	rule  string
	count int
}

type expected struct {
	line  int
	rule  string
	conds map[string]string
}

func refuse(file string, line int, format string, args ...any) error {
	return core.E(core.KindInvalid, "sigmatest", fmt.Sprintf(format, args...)+fmt.Sprintf(": %s:%d", file, line))
}

// parse reads a test file.
func parse(file, text string) ([]step, error) {
	var steps []step
	for i, raw := range strings.Split(text, "\n") {
		line := strings.TrimRight(raw, " \t\r")
		trimmed := strings.TrimLeft(line, " \t")
		if trimmed == "" || strings.HasPrefix(trimmed, "#") {
			continue
		}
		var err error
		if trimmed == line {
			steps, err = statement(steps, i+1, strings.Fields(line))
		} else if len(steps) == 0 {
			err = fmt.Errorf("an indented line belongs to a statement before it")
		} else {
			err = steps[len(steps)-1].indented(i+1, trimmed)
		}
		if err != nil {
			return nil, refuse(file, i+1, "%s", err)
		}
	}
	return steps, nil
}

func statement(steps []step, line int, words []string) ([]step, error) {
	s := step{line: line, count: -1}
	var err error
	switch words[0] {
	case "rules":
		s.kind, s.globs = stepRules, words[1:]
		if len(s.globs) == 0 {
			err = fmt.Errorf("`rules` needs the names of files")
		}
	case "load":
		s.kind = stepLoad
		err = s.loadWords(words[1:])
	case "eval":
		s.kind = stepEval
		if len(words) != 3 || words[1] != "at" {
			err = fmt.Errorf("write `eval at 5m`")
		} else {
			s.at, err = duration(words[2])
		}
	case "clear":
		s.kind = stepClear
	case "start":
		s.kind = stepStart
		if len(words) != 2 {
			return steps, fmt.Errorf("write `start 2026-03-02T08:00:00Z`")
		}
		if s.start, err = time.Parse(time.RFC3339, words[1]); err != nil {
			err = fmt.Errorf("%q is not a time such as 2026-03-02T08:00:00Z", words[1])
		}
	default:
		err = fmt.Errorf("%q is not a statement; there are rules, start, load, eval and clear", words[0])
	}
	return append(steps, s), err
}

func (s *step) loadWords(words []string) (err error) {
	if len(words)%2 != 1 {
		return fmt.Errorf("write `load 5s [from 1m] [late 4m]`")
	}
	if s.every, err = duration(words[0]); err != nil {
		return err
	}
	for i := 1; i < len(words); i += 2 {
		switch words[i] {
		case "from":
			s.from, err = duration(words[i+1])
		case "late":
			s.late, err = duration(words[i+1])
		default:
			err = fmt.Errorf("%q is not known here; there are from and late", words[i])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func duration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > 366*24*time.Hour {
		return 0, fmt.Errorf("%q is not a length of time such as 5s or 1h30m", s)
	}
	return d, nil
}

func (s *step) indented(line int, text string) error {
	switch s.kind {
	case stepLoad:
		e := eventLine{line, text, 1}
		if i := strings.LastIndex(text, " *"); i > 0 {
			if n, err := strconv.Atoi(text[i+2:]); err == nil && n > 0 {
				e.text, e.times = text[:i], n
			}
		}
		s.events = append(s.events, e)
		total := 0
		for _, e := range s.events {
			total += min(e.times, maxEvents+1)
		}
		if total > maxEvents {
			return fmt.Errorf("one block loads at most %d events", maxEvents)
		}
		return nil
	case stepEval:
		words, err := quoted(text)
		if err != nil {
			return err
		}
		return s.expectation(line, words)
	}
	return fmt.Errorf("nothing can be indented below this statement")
}

// quoted splits at blanks, but not between double quotes: title="Port scan".
func quoted(text string) (words []string, err error) {
	inside := false
	words = strings.FieldsFunc(text, func(r rune) bool {
		inside = inside != (r == '"')
		return !inside && (r == ' ' || r == '\t')
	})
	if inside {
		return nil, fmt.Errorf("a double quote is not closed")
	}
	for i, w := range words {
		words[i] = strings.ReplaceAll(w, `"`, "")
	}
	return words, nil
}

func (s *step) expectation(line int, words []string) (err error) {
	switch words[0] {
	case "events":
		if len(words) != 2 {
			return fmt.Errorf("write `events 3`")
		}
		s.count, err = strconv.Atoi(words[1])
		return err
	case "matched":
		if len(words) != 3 {
			return fmt.Errorf("write `matched RULE 3`")
		}
		n, err := strconv.Atoi(words[2])
		s.matched = append(s.matched, held{line, words[1], n})
		return err
	}
	e := expected{line: line, rule: words[0], conds: make(map[string]string)}
	for _, w := range words[1:] {
		key, val, ok := strings.Cut(w, "=")
		if !ok {
			return fmt.Errorf("%q should be a condition such as count=10", w)
		}
		e.conds[key] = val
	}
	s.alerts = append(s.alerts, e)
	return nil
}

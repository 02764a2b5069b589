package hunt

import (
	"strings"
	"unicode/utf8"

	"github.com/interlock-security/interlock/siem/sigma"
)

const (
	// maxTold bounds how often a rule is explained within a block: it takes
	// longer than matching, and a rule that fires on everything is known soon.
	maxTold = 16
	// maxWhy is how many fields are told of a match.
	maxWhy = 4
	// excerpt is how much of a value is told, in characters.
	excerpt = 60
)

// alone is an engine of one rule, made when the rule first fires. Nil means that
// nobody wants to know why.
func (h *hunt) alone(r *sigma.Rule) *sigma.Engine {
	if h.Alone == nil {
		return nil
	}
	h.engines.Lock()
	defer h.engines.Unlock()
	e, ok := h.engines.of[r]
	if !ok {
		e = h.Alone(r)
		h.engines.of[r] = e
	}
	return e
}

// single is a rule's own engine and a view for it.
type single struct {
	engine *sigma.Engine
	view   *sigma.View
}

// why names the fields that made a rule fire for the event at hand, with the
// part of their values that it looked for.
func (w *worker) why(r *sigma.Rule) []sigma.Field {
	if w.told[r] >= maxTold {
		return nil
	}
	w.told[r]++
	s, ok := w.singles[r]
	if !ok {
		if s.engine = w.h.alone(r); s.engine != nil {
			s.view = s.engine.NewView()
		}
		w.singles[r] = s
	}
	if s.engine == nil {
		return nil
	}
	s.view.Reset()
	if s.view.Load(w.event) != nil {
		return nil
	}
	said := s.engine.Explain(s.view, []sigma.Logsource{r.Logsource}, sigma.ExplainOptions{})
	// Where the normaliser vouched for what the rule asks, the event alone does
	// not say it.
	if len(said) != 1 || said[0].Verdict != sigma.Fired {
		return nil
	}
	return w.holding(said[0].Holds)
}

func (w *worker) holding(questions []*sigma.Question) []sigma.Field {
	var out []sigma.Field
	seen := make(map[string]bool)
	for _, q := range questions {
		if seen[q.Field] || len(q.Have) == 0 || len(out) == maxWhy {
			continue
		}
		seen[q.Field] = true
		text, ok := w.view.First(q.Field)
		if !ok || q.Field == "" {
			text = q.Have[0]
		}
		out = append(out, sigma.Field{Name: q.Field, Value: around(text, q.Values)})
	}
	return out
}

// around cuts a long value to what surrounds the wanted text in it.
func around(text string, wanted []sigma.Wanted) string {
	if len(text) <= excerpt {
		return text
	}
	at := -1
	folded := strings.ToLower(text)
	for _, v := range wanted {
		if find := strings.ToLower(strings.Trim(v.Text, "*")); v.Holds && find != "" && at < 0 {
			at = strings.Index(folded, find)
		}
	}
	from := 0
	if at > excerpt/2 && len(folded) == len(text) {
		from = min(at-excerpt/4, len(text)-excerpt)
	}
	for from > 0 && !utf8.RuneStart(text[from]) {
		from--
	}
	out := clip(text[from:], excerpt)
	if from > 0 {
		out = "…" + out
	}
	return out
}

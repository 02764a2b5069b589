package sigma

import (
	"maps"
	"slices"
)

// maxChain is how many correlations can stand on top of each other.
const maxChain = 8

// correlate resolves what a correlation refers to: detections, and other
// correlations, whose firings it takes as events. Every match must carry what
// any correlation above it asks for.
func (c *compiler) correlate(corr *Correlation) error {
	for _, ref := range corr.Refs {
		r := c.e.Named(ref.Name)
		if r == nil {
			return corr.refused(ref.at, "there is no rule %q among those loaded", ref.Name)
		}
		if slices.Contains(c.e.feeds[r.ID], corr) {
			return corr.refused(ref.at, "the rule %q is named twice", ref.Name)
		}
		c.e.feeds[r.ID] = append(c.e.feeds[r.ID], corr)
		if i := slices.Index(c.e.rules, r); i >= 0 {
			c.e.alerts[i] = c.e.alerts[i] && corr.Generate
		}
		if err := c.carry(corr, ref, r, corr.names(), 1); err != nil {
			return err
		}
	}
	return corr.knownAliases(c.e)
}

// carry makes the detections below r bring the named fields.
func (c *compiler) carry(corr *Correlation, ref Ref, r *Rule, names []string, depth int) error {
	if depth > maxChain {
		return corr.refused(ref.at, "correlations stand on each other in a circle or more than %d high, by way of %q", maxChain, ref.Name)
	}
	if i := slices.Index(c.e.rules, r); i >= 0 {
		for _, name := range names {
			c.capture(i, corr.In(name, r))
		}
		c.capture(i, FieldAttempt)
		c.capture(i, FieldEcho)
		return nil
	}
	below := make([]string, len(names))
	for i, name := range names {
		below[i] = corr.In(name, r)
		if inner := r.Correlation; !inner.Rising() && !slices.Contains(inner.GroupBy, below[i]) {
			return corr.refused(ref.at, "%q is decided when its window has closed, so it carries its group-by fields alone; group it by %q too", ref.Name, below[i])
		}
	}
	for _, inner := range r.Correlation.Refs {
		if next := c.e.Named(inner.Name); next != nil { // its own correlate says so where there is none
			if err := c.carry(r.Correlation, inner, next, below, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// Named finds a detection or a correlation by its name or id; nil where there
// is none.
func (e *Engine) Named(name string) *Rule {
	for _, r := range e.rules {
		if r.Names(name) {
			return r
		}
	}
	for _, corr := range e.corrs {
		if corr.Rule.Names(name) {
			return corr.Rule
		}
	}
	return nil
}

func (c *Correlation) refused(at Pos, format string, args ...any) error {
	err := bad(at, format, args...)
	err.File = c.Rule.File
	return err
}

// knownAliases refuses an alias that nothing can use.
func (c *Correlation) knownAliases(e *Engine) error {
	for _, alias := range slices.Sorted(maps.Keys(c.Aliases)) {
		for _, name := range slices.Sorted(maps.Keys(c.Aliases[alias])) {
			if !slices.ContainsFunc(c.Refs, func(r Ref) bool { return e.Named(r.Name).Names(name) }) {
				return c.refused(c.aliasAt[alias], "alias %q speaks of the rule %q, which is not among `rules`", alias, name)
			}
		}
	}
	return nil
}

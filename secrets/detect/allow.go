package detect

import (
	"bytes"
	"strings"
)

// allow is an Allow made ready.
type allow struct {
	*Allow
	commits map[string]bool
	words   [][]byte
}

func newAllow(a *Allow) *allow {
	c := &allow{Allow: a, commits: map[string]bool{}}
	for _, id := range a.Commits {
		c.commits[strings.ToLower(strings.TrimSpace(id))] = true
	}
	for _, w := range a.StopWords {
		c.words = append(c.words, []byte(strings.ToLower(w)))
	}
	return c
}

// text reports whether all of a text is allowed, whatever stands in it.
func (a *allow) text(t *Text) bool {
	if !a.All {
		return a.commit(t) || a.pathed(t)
	}
	if len(a.Patterns) > 0 || len(a.StopWords) > 0 || len(a.Commits)+len(a.Paths) == 0 {
		return false
	}
	return (len(a.Commits) == 0 || a.commit(t)) && (len(a.Paths) == 0 || a.pathed(t))
}

func (a *allow) commit(t *Text) bool {
	return t.Commit != "" && len(a.commits) > 0 && a.commits[strings.ToLower(t.Commit)]
}

func (a *allow) pathed(t *Text) bool {
	if t.Path == "" {
		return false
	}
	for _, re := range a.Paths {
		if re.MatchString(t.Path) {
			return true
		}
	}
	return false
}

// leak reports whether one find is allowed.
func (a *allow) leak(t *Text, secret, match, line []byte) bool {
	if !a.All {
		return a.patterned(secret, match, line) || a.worded(secret)
	}
	return (len(a.Commits) == 0 || a.commit(t)) &&
		(len(a.Paths) == 0 || a.pathed(t)) &&
		(len(a.Patterns) == 0 || a.patterned(secret, match, line)) &&
		(len(a.StopWords) == 0 || a.worded(secret))
}

func (a *allow) patterned(secret, match, line []byte) bool {
	target := secret
	switch a.Target {
	case TargetMatch:
		target = match
	case TargetLine:
		target = line
	}
	if len(target) == 0 {
		return false
	}
	for _, re := range a.Patterns {
		if re.Match(target) {
			return true
		}
	}
	return false
}

func (a *allow) worded(secret []byte) bool {
	if len(a.words) == 0 {
		return false
	}
	low := bytes.ToLower(secret)
	for _, w := range a.words {
		if bytes.Contains(low, w) {
			return true
		}
	}
	return false
}

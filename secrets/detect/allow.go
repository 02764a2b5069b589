package detect

import (
	"strings"

	"github.com/interlock-security/interlock/secrets/detect/internal/literal"
	"github.com/interlock-security/interlock/secrets/detect/internal/search"
)

// allow is an Allow made ready.
type allow struct {
	*Allow
	index   int // in Detector.allows
	paths   *search.Any
	commits map[string]bool
	words   *literal.Set
}

// newAllow makes an allowlist ready and numbers it.
func (d *Detector) newAllow(a *Allow) (*allow, error) {
	c := &allow{Allow: a, index: d.allows, commits: map[string]bool{}}
	d.allows++
	for _, id := range a.Commits {
		c.commits[strings.ToLower(strings.TrimSpace(id))] = true
	}
	if len(a.StopWords) > 0 {
		c.words = literal.New(a.StopWords)
	}
	if len(a.Paths) == 0 {
		return c, nil
	}
	var err error
	c.paths, err = search.NewAny(a.Paths)
	return c, err
}

// permission remembers, for one text, what an allowlist says of its path.
type permission struct {
	asker *search.Asker
	known bool
	path  bool
}

// allowsText reports whether all of the text is allowed, whatever stands in it.
func (s *scan) allowsText(a *allow) bool {
	if !a.All {
		return s.allowsCommit(a) || s.allowsPath(a)
	}
	if len(a.Patterns) > 0 || len(a.StopWords) > 0 || len(a.Commits)+len(a.Paths) == 0 {
		return false
	}
	return s.allowsPlace(a)
}

// excusing is the first of the lists that allows all of the text.
func (s *scan) excusing(lists []*allow) *allow {
	for _, a := range lists {
		if s.allowsText(a) {
			return a
		}
	}
	return nil
}

// allowedText reports whether a rule is not asked of this text. It is, where who says
// so has to be told of what that hides.
func (s *scan) allowedText(r *rule) bool {
	a := s.excusing(r.allow)
	return a != nil && s.told(a.Source) == ""
}

// sparedBy names who allows all of the text to a rule that is asked all the same.
func (s *scan) sparedBy(r *rule) string {
	if a := s.excusing(r.allow); a != nil {
		return s.told(a.Source)
	}
	return ""
}

// told is who excuses, where that is told.
func (s *scan) told(source string) string {
	if !s.d.tell {
		return ""
	}
	return source
}

// allowsPlace asks the criteria of a text that an allowlist has, all of them.
func (s *scan) allowsPlace(a *allow) bool {
	return (len(a.Commits) == 0 || s.allowsCommit(a)) && (len(a.Paths) == 0 || s.allowsPath(a))
}

func (s *scan) allowsCommit(a *allow) bool {
	return s.text.Commit != "" && len(a.commits) > 0 && a.commits[strings.ToLower(s.text.Commit)]
}

func (s *scan) allowsPath(a *allow) bool {
	if s.text.Path == "" || a.paths == nil {
		return false
	}
	p := &s.permissions[a.index]
	if p.known {
		return p.path
	}
	if p.asker == nil {
		p.asker = a.paths.NewAsker()
	}
	p.known, p.path = true, p.asker.Match([]byte(s.text.Path))
	return p.path
}

// allows reports whether one find is allowed.
func (s *scan) allows(a *allow, secret, match, line []byte) bool {
	if !a.All {
		return a.patterned(secret, match, line) || a.worded(secret)
	}
	return s.allowsPlace(a) &&
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

func (a *allow) worded(secret []byte) bool { return a.words != nil && a.words.Has(secret) }

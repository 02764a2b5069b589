package sigma

import (
	"net/url"
	"strings"
)

// maxLink is the longest link of a rule.
const maxLink = 2048

// WithLink gives each rule without a `link:` of its own the address of its file
// below base. Without a base the link is the rule's id as a URN. It returns
// rules.
func WithLink(rules []*Rule, base string) []*Rule {
	for _, r := range rules {
		if r.Link == "" {
			r.Link = linkOf(r, base)
		}
	}
	return rules
}

func linkOf(r *Rule, base string) string {
	switch {
	case base != "":
		file := strings.TrimLeft(strings.TrimPrefix(strings.ReplaceAll(r.File, `\`, "/"), "./"), "/")
		return strings.TrimRight(base, "/") + "/" + (&url.URL{Path: file}).EscapedPath()
	case uuidForm.MatchString(r.ID):
		return "urn:uuid:" + r.ID
	}
	return "urn:sigma:rule:" + url.PathEscape(r.ID)
}

// takeLink reads `link:`. Links end up where people click on them, so what
// would run something is refused.
func takeLink(p pair) (string, error) {
	s, err := textOf(p)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(s)
	if err != nil || len(s) > maxLink || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "urn" {
		return "", bad(p.val.at, "`link` must be an address that begins with https://, http:// or urn:")
	}
	return s, nil
}

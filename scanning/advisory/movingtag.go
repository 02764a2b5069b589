package advisory

import (
	"regexp"
	"strings"

	"github.com/interlock-security/interlock/scanning"
)

// movingTag is v4 or v4.1, which stand for the newest release that begins so.
var movingTag = regexp.MustCompile(`^v?(\d{1,9})(?:\.(\d{1,9}))?$`)

// newest is the version by which a GitHub Action that is used by a moving tag is
// judged: above all that the tag may ever name, so that an advisory that was mended
// within them is past, and one that reaches over their end is not.
func newest(p *scanning.Package) string {
	const last = "999999999"
	tag := p.Version
	if tag == "" {
		_, tag, _ = strings.Cut(p.PURL, "@")
	}
	m := movingTag.FindStringSubmatch(tag)
	switch {
	case m == nil:
		return p.Version
	case m[2] == "":
		return m[1] + "." + last + "." + last
	}
	return m[1] + "." + m[2] + "." + last
}

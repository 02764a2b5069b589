package sigma

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"strings"
)

var uuidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)

// maxID is the longest id of a rule.
const maxID = 256

// ownID is the id of a rule that has none: a UUID (version 8) made of the file's
// name without its folder, the number of the document in the file and the title. It stays
// the same as long as those do, wherever the folder lies.
func ownID(file string, number int, title string) string {
	name := path.Base(strings.ReplaceAll(file, `\`, "/"))
	sum := sha256.Sum256(fmt.Appendf(nil, "sigma rule without id\x00%s\x00%d\x00%s", name, number, title))
	b := sum[:16]
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// settleID checks the id that the rule has and gives one to a rule that has
// none. The specification recommends UUIDs and does not insist.
func (r *Rule) settleID(rep *report, d *node) {
	n, ok := d.get("id")
	switch {
	case r.ID == "":
		r.ID = ownID(r.File, r.number, r.Title)
		rep.note(d.at, "the rule has no `id`; it goes by %s, made of its file's name, its place there and its title", r.ID)
	case !ok:
	case uuidForm.MatchString(r.ID):
		r.ID = strings.ToLower(r.ID)
	case len(r.ID) > maxID || strings.ContainsFunc(r.ID, unprintable):
		rep.fail(n.at, "`id` must be a UUID; write `id: %s`", ownID(r.File, r.number, r.Title))
	default:
		rep.warn(n.at, "id %q is not a UUID; write `id: %s`", r.ID, ownID(r.File, r.number, r.Title))
	}
}

func unprintable(c rune) bool { return c < ' ' || c == 0x7f }

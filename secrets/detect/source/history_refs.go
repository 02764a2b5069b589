package source

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"strings"
	"time"
)

// stashes are all that was put aside: only the newest of them has a name, the others
// are in the log of that name.
func (r *repository) stashes(ctx context.Context) []string {
	said, err := r.ask(ctx, "rev-list", "--walk-reflogs", "refs/stash")
	if err != nil {
		return nil // there is none
	}
	names := strings.Fields(said)
	if len(said) >= mostOutput {
		names = names[:len(names)-1] // which is cut
	}
	return names
}

// worktrees counts the other folders that this repository is checked out into. Their
// files are theirs to be scanned; what they lead to is read here.
func (r *repository) worktrees(ctx context.Context) int64 {
	said, err := r.ask(ctx, "worktree", "list", "--porcelain")
	if err != nil {
		return 0
	}
	return int64(max(0, strings.Count("\n"+said, "\nworktree ")-1))
}

// borrowed counts the repositories elsewhere whose objects this one uses as its own.
func (r *repository) borrowed(ctx context.Context) int64 {
	said, err := r.ask(ctx, "count-objects", "-v")
	if err != nil {
		return 0
	}
	return int64(strings.Count("\n"+said, "\nalternate: "))
}

// mostTags bounds how many tags with a message are read, deepestTag how many of them
// may stand behind one another.
const (
	mostTags   = 200_000
	deepestTag = 8
)

// readTags hands out what annotated tags say.
func (h *history) readTags(ctx context.Context) error {
	if h.o.Branch != "" || h.o.Since != "" {
		return nil
	}
	names := h.strayTags
	err := h.repo.read(ctx, []string{"for-each-ref", "--format=%(objecttype) %(objectname)"}, func(r io.Reader) error {
		return eachLine(r, func(line string) {
			if name, ok := strings.CutPrefix(line, "tag "); ok && len(names) < mostTags {
				names = append(names, name)
			}
		})
	})
	if err != nil {
		return h.gap(gitGap("tags", err))
	}
	if len(names) == mostTags {
		if err := h.gap(Gap{"tags", "it has more tags than are read: their messages were not read", TooMany}); err != nil {
			return err
		}
	}
	if len(names) == 0 {
		return nil
	}
	return h.put(func(w *worker) { h.tags(w, names) })
}

// tags scans what tags say, those too that others are of.
func (h *history) tags(w *worker, names []string) {
	seen := map[string]bool{}
	for range deepestTag {
		var next []string
		for len(names) > 0 {
			n := min(perGit, len(names))
			part := names[:n]
			names = names[n:]
			w.objects(h.repo, part, func(i int, o object) error {
				if seen[part[i]] || o.missing || o.kind != "tag" {
					return nil
				}
				seen[part[i]] = true
				body, err := w.small(o)
				if err != nil {
					return err
				}
				if body == nil {
					w.gap("tag message", "a tag says more than "+size(chunkSize)+", which was not read", TooLarge)
					return nil
				}
				if of := w.tag(body); of != "" {
					next = append(next, of)
				}
				return nil
			})
		}
		names = next
	}
}

// tag scans what one tag says, and returns the tag that it is of, if it is of one.
func (w *worker) tag(body []byte) (of string) {
	head, message, _ := bytes.Cut(body, []byte("\n\n"))
	field := map[string]string{}
	for line := range strings.Lines(string(head)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		field[key] = value
	}
	at := placeOf("tag message")
	at.Commit = Shown(field["object"])
	at.Author, at.Email, at.Date = tagger(field["tagger"])
	at.note = "tag " + Shown(field["tag"])
	w.kept = 0
	text := bytes.Clone(message)
	blank(text)
	w.whole(at, text)
	if field["type"] == "tag" && isName(field["object"]) {
		return field["object"]
	}
	return ""
}

// tagger reads "Name <address> seconds zone".
func tagger(s string) (name, email string, date time.Time) {
	name, rest, _ := strings.Cut(s, " <")
	email, rest, _ = strings.Cut(rest, "> ")
	seconds, _, _ := strings.Cut(rest, " ")
	if n, err := strconv.ParseInt(seconds, 10, 64); err == nil {
		date = time.Unix(n, 0).UTC()
	}
	return Shown(name), Shown(email), date
}

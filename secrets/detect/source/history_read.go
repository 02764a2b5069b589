package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// versionsOf scans the versions of some files.
func (h *history) versionsOf(w *worker, part []version) {
	names := make([]string, len(part))
	for i := range part {
		names[i] = h.name(part[i].id)
	}
	var g *lineage
	last := -1 // git may have died of those between
	w.objects(h.repo, names, func(i int, o object) error {
		v := &part[i]
		if last < 0 || part[last].path != v.path {
			h.close(w, g)
			g = newLineage()
		}
		last = i
		path := h.paths.all[v.path]
		at := h.place(path, v.commit)
		w.Progress.Blobs.Add(1)
		more := i+1 < len(part) && part[i+1].path == v.path
		return w.version(g, at, v.id, o, more)
	})
	h.close(w, g)
}

// version scans one version of a file. more says that another one follows.
func (w *worker) version(g *lineage, at *where, id [32]byte, o object, more bool) error {
	if o.missing {
		w.gap(at.String(), "this version of the file is not in the repository", Unreadable)
		return nil
	}
	body, err := w.small(o)
	if err != nil || body == nil {
		if err == nil {
			w.content(at, input{Reader: o.body, size: -1}, nil)
		}
		return err
	}
	if what, _ := natureOf(body); archiveOf(body) != notArchive || what != naturalText {
		whole := bytes.NewReader(bytes.Clone(body))
		w.content(at, input{Reader: whole, random: whole, size: o.size}, nil)
		return nil
	}
	blank(body)
	w.Progress.Bytes.Add(o.size)
	if !more && g.last == nil {
		w.look(g, at, id, body, []span{{1, int(^uint(0) >> 1)}})
		return nil
	}
	w.look(g, at, id, body, g.fresh(body))
	return nil
}

// small reads a version that fits the buffer; nil means that it does not.
func (w *worker) small(o object) ([]byte, error) {
	if o.size >= chunkSize {
		return nil, nil
	}
	buf := w.buffer(int(o.size))
	_, err := io.ReadFull(o.body, buf)
	return buf, err
}

// mostRestarts is how often git is started anew after an object that it dies of.
const mostRestarts = 100

// objects asks git for objects in turn. One that git can't read ends git, not us.
func (w *worker) objects(repo *repository, names []string, take func(i int, o object) error) {
	for i, tries := 0, 0; i < len(names) && w.ctx.Err() == nil; tries++ {
		if tries > mostRestarts {
			w.gap("history", fmt.Sprintf("git ended too often, %d versions of files were not read", len(names)-i), Unreadable)
			return
		}
		done, err := w.series(repo, names[i:], func(n int, o object) error { return take(i+n, o) })
		if i += done; err == nil || w.ctx.Err() != nil {
			continue
		}
		w.git.close()
		w.git = nil
		if errors.Is(err, errNoGit) {
			w.gap("history", "git is not installed", MissingTool)
			return
		}
		w.gap("object "+names[i], fmt.Sprintf("git can't read it: %v", err), Unreadable)
		i++
	}
}

// series reads objects until one can't be read.
func (w *worker) series(repo *repository, names []string, take func(i int, o object) error) (int, error) {
	if w.git == nil {
		var err error
		if w.git, err = repo.catFile(w.ctx); err != nil {
			return 0, err
		}
	}
	w.git.request(names)
	for i := range names {
		o, err := w.git.next()
		if err == nil {
			if err = take(i, o); err == nil {
				err = w.git.done(o)
			}
		}
		if err != nil {
			return i, err
		}
	}
	return len(names), nil
}

// close tells what was found in a file, and of each whether it is still there.
func (h *history) close(w *worker, g *lineage) {
	if g == nil || len(g.leaks) == 0 {
		return
	}
	w.kept = 0
	var now []byte
	if n, known := h.paths.at[g.leaks[0].Path]; known {
		if id, in := h.byPath[n]; in {
			now = h.fetch(w, h.name(id))
		}
	}
	for _, l := range g.leaks {
		_, inHead := h.head[l.blob]
		l.Gone = !inHead && !stands(now, &l)
		w.leak(l.Found)
	}
}

// stands reports whether a leak is in what a file holds now.
func stands(now []byte, l *lineLeak) bool {
	secret := l.Secret.Reveal()
	return len(secret) > 0 && bytes.Contains(now, secret) || len(l.line) > 0 && bytes.Contains(now, l.line)
}

// fetch reads one object. It runs its own git, since the worker's is being asked for
// others.
func (h *history) fetch(w *worker, name string) []byte {
	c, err := h.repo.catFile(w.ctx)
	if err != nil {
		return nil
	}
	defer c.close()
	c.request([]string{name})
	o, err := c.next()
	if err != nil || o.missing {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(o.body, chunkSize))
	if err != nil {
		return nil
	}
	return body
}

// pairsOf scans what is new in staged files.
func (h *history) pairsOf(w *worker, part []pair) {
	var names []string
	var steps []step
	for i, p := range part {
		if p.old != "" {
			names, steps = append(names, p.old), append(steps, step{i, true})
		}
		names, steps = append(names, p.new), append(steps, step{i, false})
	}
	g, last := newLineage(), 0 // of the pair at hand
	w.objects(h.repo, names, func(i int, o object) error {
		s := steps[i]
		if s.pair != last {
			g, last = newLineage(), s.pair
		}
		if s.old {
			return w.learn(g, o)
		}
		w.kept = 0
		err := w.version(g, placeOf(part[s.pair].path), [32]byte{}, o, true)
		for _, l := range g.leaks {
			w.leak(l.Found)
		}
		return err
	})
}

// step is one object that is asked for: a pair's old or new version.
type step struct {
	pair int
	old  bool
}

// learn takes a version as known without looking for leaks in it.
func (w *worker) learn(g *lineage, o object) error {
	if o.missing {
		return nil
	}
	body, err := w.small(o)
	if err == nil && body != nil {
		blank(body)
		g.fresh(body)
	}
	return err
}

// message is what a commit says.
type message struct {
	at   *where
	text []byte
}

// perMessages is how many messages make a task.
const perMessages = 256

// readMessage keeps a commit's message until there are enough for a task. Its place
// is made here, since the chronicle goes on growing.
func (h *history) readMessage(c *chronicle, n uint32, text []byte) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	h.messages = append(h.messages, message{c.place("commit message", n), bytes.Clone(text)})
	return h.flushMessages(perMessages)
}

func (h *history) flushMessages(least int) error {
	if len(h.messages) < least || len(h.messages) == 0 {
		return nil
	}
	some := h.messages
	h.messages = nil
	return h.put(func(w *worker) {
		for _, m := range some {
			w.kept = 0
			w.whole(m.at, m.text)
		}
	})
}

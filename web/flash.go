package web

import "sync"

// flash is the message about the last effect, shown on the next page.
type flash struct {
	Tone string // "ok", "warn", "bad"
	Text string
	// Secret is something to copy that is shown this once, "" for none.
	Secret string
}

// maxFlashes bounds the messages that nobody has come for.
const maxFlashes = 4096

// flashes keeps one message a session, in memory: a cookie could be written by
// others, and what a page says has been done must come from the server.
type flashes struct {
	mu      sync.Mutex
	waiting map[string]*flash
}

func (f *flashes) put(session string, m flash) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting == nil || len(f.waiting) >= maxFlashes {
		f.waiting = map[string]*flash{}
	}
	f.waiting[session] = &m
}

func (f *flashes) take(session string) *flash {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.waiting[session]
	delete(f.waiting, session)
	return m
}

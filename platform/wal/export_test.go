package wal

// Queued returns how many items wait for a commit, so that a test can wait for
// a crowd instead of for time.
func (g *Group[T]) Queued() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, c := range g.queue {
		n += len(c.items)
	}
	return n
}

// EncodeForGolden returns the bytes of a segment with fixed salt and two
// frames of one write.
func EncodeForGolden() []byte {
	s := segment{number: 7, first: 41, salt: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}}
	b := appendFrame(s.encode(), s.salt, 41, 41, []byte("first"))
	return appendFrame(b, s.salt, 42, 41, nil)
}

package correlate

// Dump hands out every group, changed or not.
func (s *State) Dump(put func(Key, []byte)) error {
	for _, g := range s.groups {
		put(s.keyOf(g), s.encode(g))
	}
	return nil
}

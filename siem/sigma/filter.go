package sigma

// effective returns what each detection asks once everything that stands beside
// it has been applied.
func effective(rules []*Rule, _ Options) (map[*Rule]*expr, error) {
	out := make(map[*Rule]*expr, len(rules))
	for _, r := range rules {
		if r.Correlation == nil {
			out[r] = r.condition
		}
	}
	return out, nil
}

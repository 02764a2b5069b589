package leakcorpus

import "fmt"

// Span is lines of a file that a scanner reported.
type Span struct{ From, To int }

// Score is how well a scanner did: leaks that it found and missed, and reports
// that are none.
type Score struct {
	Found, Missed, False int
	// Notes say of each miss and each false report where it is.
	Notes []string
}

// Recall is the share of leaks that were found.
func (s Score) Recall() float64 { return ratio(s.Found, s.Missed) }

// Precision is the share of reports that are leaks.
func (s Score) Precision() float64 { return ratio(s.Found, s.False) }

func ratio(n, rest int) float64 {
	if n+rest == 0 {
		return 0
	}
	return float64(n) / float64(n+rest)
}

// Judge holds what was reported, by path, against the labels. A label counts
// once however often it was reported, so does each line that is none.
func Judge(files []File, reported map[string][]Span) Score {
	var s Score
	for _, f := range files {
		spent := map[int]bool{}
		for _, l := range f.Labels {
			hit := false
			for i, r := range reported[f.Path] {
				if r.From <= l.To && r.To >= l.From {
					hit, spent[i] = true, true
				}
			}
			s.count(f, l, hit)
		}
		for i, r := range reported[f.Path] {
			if !spent[i] {
				s.False++
				s.Notes = append(s.Notes, fmt.Sprintf("false   %s:%d: a line that is neither", f.Path, r.From))
			}
		}
	}
	return s
}

func (s *Score) count(f File, l Label, hit bool) {
	switch {
	case l.Leak && hit:
		s.Found++
	case l.Leak:
		s.Missed++
		s.Notes = append(s.Notes, fmt.Sprintf("missed  %s:%d: %s", f.Path, l.From, l.Text))
	case hit:
		s.False++
		s.Notes = append(s.Notes, fmt.Sprintf("false   %s:%d: %s", f.Path, l.From, l.Text))
	}
}

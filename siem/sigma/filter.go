package sigma

import "time"

// Filter is what a filter document does: its condition is joined by `and` to
// that of the rules it names. Owner, Reason and Expires are keys of this
// project at the top of the document.
type Filter struct {
	// Refs are the ids or names of rules; Any stands for every rule that the
	// filter's logsource covers.
	Refs []Ref
	Any  bool

	Owner, Reason string
	// Expires is zero for a filter that stays.
	Expires time.Time

	condition *expr
}

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

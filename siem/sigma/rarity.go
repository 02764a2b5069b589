package sigma

import "github.com/interlock-security/interlock/siem/sigma/internal/needle"

// rarity guesses how common a piece of text is from how many questions of the
// loaded rules have it: what rules speak of all the time ("\system32\", ".exe")
// is what events are full of.
type rarity struct{ counts [1 << 14]uint16 }

func (r *rarity) slotOf(window uint32) *uint16 { return &r.counts[window*0x9e3779b1>>18] }

// learn counts the windows of a text.
func (r *rarity) learn(text string) {
	for i := 0; i+needle.MinLen <= len(text); i++ {
		if at := r.slotOf(needle.Window(text[i:])); *at < 1<<15 {
			*at++
		}
	}
}

func (r *rarity) of(window uint32) int { return int(*r.slotOf(window)) }

// least is the count of a text's rarest window.
func (r *rarity) least(text string) int {
	best := 1 << 15
	for i := 0; i+needle.MinLen <= len(text); i++ {
		best = min(best, r.of(needle.Window(text[i:])))
	}
	return best
}

package sigma

// Limits on what a rule file becomes in memory, or a rule when its placeholders
// are filled: a few bytes can ask for much, by naming a search identifier again
// and again or by repeats in regular expressions.
const (
	maxQuestions = 200_000
	maxPlaces    = 200_000
)

// budget is what has been spent of them.
type budget struct{ questions, places int }

// ask counts questions of a condition, search identifiers written out wherever
// they are named.
func (b *budget) ask(n int, at Pos) error {
	if b.questions += n; b.questions > maxQuestions {
		return bad(at, "with every search identifier written out there are more than %d values; write several files, or shorter lists", maxQuestions)
	}
	return nil
}

// place counts the places of a regular expression.
func (b *budget) place(n int, at Pos) error {
	if b.places += n; b.places > maxPlaces {
		return bad(at, "the regular expressions have more than %d places together, repeats written out; write smaller numbers in `{}`, or several files", maxPlaces)
	}
	return nil
}

// size counts the questions of e.
func (e *expr) size() int {
	if e.op == opLeaf {
		return 1
	}
	n := 1
	for _, k := range e.kids {
		n += k.size()
	}
	return n
}

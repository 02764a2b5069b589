package sigma

// labelKind says what an expression is in its rule file.
type labelKind uint8

const (
	labelFilter    labelKind = iota // a Sigma filter: its title
	labelSelection                  // a search identifier: its name
	labelItem                       // a field item: its key as it is written
	labelValue                      // one value of an item, before modifiers
)

// label is where an expression comes from. Matching never looks at it;
// explaining does. An expression can be several things at once: a selection of
// one item of one value.
type label struct {
	kind  labelKind
	text  string
	at    Pos
	under *label // what the expression is besides, further in
}

// named says what e is in its file, outside of what it is already.
func (e *expr) named(kind labelKind, text string, at Pos) *expr {
	e.label = &label{kind, text, at, e.label}
	return e
}

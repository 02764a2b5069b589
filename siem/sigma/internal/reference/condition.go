package reference

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// condition answers for a rule and an event [Rules, Condition].
type condition func(*Rule, *Event) bool

// readConditions takes one condition or a list of them, of which any is enough.
func readConditions(v any) (condition, error) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var any []condition
	for _, one := range list {
		text, ok := one.(string)
		if !ok {
			return nil, errors.New("a condition must be text")
		}
		words := &words{regexp.MustCompile(`[()]|[^\s()]+`).FindAllString(text, -1)}
		c, err := words.or()
		if err == nil && len(words.left) > 0 {
			err = fmt.Errorf("%q is left over", words.left)
		}
		if err != nil {
			return nil, err
		}
		any = append(any, c)
	}
	return func(r *Rule, e *Event) bool {
		for _, c := range any {
			if c(r, e) {
				return true
			}
		}
		return false
	}, nil
}

// words is what is left of a condition. From least to most binding: or, and,
// not, x of, brackets.
type words struct{ left []string }

func (w *words) is(word string) bool {
	return len(w.left) > 0 && strings.EqualFold(w.left[0], word)
}

func (w *words) take() string {
	if len(w.left) == 0 {
		return ""
	}
	word := w.left[0]
	w.left = w.left[1:]
	return word
}

func (w *words) or() (condition, error) {
	a, err := w.and()
	for err == nil && w.is("or") {
		w.take()
		var b condition
		before := a
		b, err = w.and()
		a = func(r *Rule, e *Event) bool { return before(r, e) || b(r, e) }
	}
	return a, err
}

func (w *words) and() (condition, error) {
	a, err := w.not()
	for err == nil && w.is("and") {
		w.take()
		var b condition
		before := a
		b, err = w.not()
		a = func(r *Rule, e *Event) bool { return before(r, e) && b(r, e) }
	}
	return a, err
}

func (w *words) not() (condition, error) {
	if !w.is("not") {
		return w.atom()
	}
	w.take()
	c, err := w.not()
	return func(r *Rule, e *Event) bool { return !c(r, e) }, err
}

func (w *words) atom() (condition, error) {
	word := w.take()
	switch {
	case word == "":
		return nil, errors.New("the condition ends early")
	case word == "(":
		c, err := w.or()
		if err == nil && w.take() != ")" {
			err = errors.New("a bracket stays open")
		}
		return c, err
	case w.is("of"):
		w.take()
		return quantified(strings.ToLower(word), w.take())
	}
	return func(r *Rule, e *Event) bool { return r.selections[word].holds(r, e) }, nil
}

// quantified reads "1 of them", "all of sel*": `them` leaves out what begins
// with an underscore, a pattern does not.
func quantified(count, what string) (condition, error) {
	if count != "1" && count != "any" && count != "all" {
		return nil, fmt.Errorf("%q of", count)
	}
	pattern := parsePattern(what)
	return func(r *Rule, e *Event) bool {
		for name, s := range r.selections {
			if strings.EqualFold(what, "them") {
				if strings.HasPrefix(name, "_") {
					continue
				}
			} else if !matches(pattern, name) {
				continue
			}
			if s.holds(r, e) != (count == "all") {
				return count != "all"
			}
		}
		return count == "all"
	}, nil
}

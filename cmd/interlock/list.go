package main

import (
	"fmt"
	"io"
	"net/url"
	"slices"

	"github.com/interlock-security/interlock/api/client"
	"github.com/interlock-security/interlock/core"
)

// listing is what verbs that list have in common.
type listing struct {
	Limit int `help:"At most this many; 0 for all." short:"n" default:"200"`
}

// fetch reads a list page by page. Where it stops early it says so, so that
// nobody takes a part for the whole.
func fetch[T any](e *env, l listing, path string, query url.Values) ([]T, error) {
	if l.Limit < 0 {
		return nil, core.E(core.KindInvalid, "list", "--limit cannot be negative")
	}
	items, total, more, err := client.List[T](e.ctx, e.client(), path, query, l.Limit)
	if err != nil {
		return nil, err
	}
	switch {
	case more && total >= 0:
		_, _ = fmt.Fprintf(e.err, "%d of %d; more with --limit\n", len(items), total)
	case more:
		_, _ = fmt.Fprintf(e.err, "the newest %d; more with --limit\n", len(items))
	}
	return items, nil
}

// filter makes a query of names and values, leaving out what is empty.
func filter(pairs ...string) url.Values {
	q := url.Values{}
	for pair := range slices.Chunk(pairs, 2) {
		if name, value := pair[0], pair[len(pair)-1]; value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// none tells that a list is empty.
func none(w io.Writer, what string) { _, _ = fmt.Fprintf(w, "no %s\n", what) }

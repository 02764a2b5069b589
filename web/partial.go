package web

import "net/url"

// pager is the argument of the partial of that name: {{template "pager" .Pager}}.
type pager struct {
	// First and Next are addresses, "" where there is none.
	First, Next string
	// Shown is how many rows stand there, Total how many there are, 0 or less for not
	// known.
	Shown, Total int
	// One and Many name what is counted.
	One, Many string
}

// pageOf makes the pager of a list at path with the query it was asked with;
// next is the API's cursor.
func pageOf(path string, query url.Values, next string, shown, total int, one, many string) pager {
	p := pager{Shown: shown, Total: total, One: one, Many: many}
	q := url.Values{}
	for name, values := range query {
		if name != "after" {
			q[name] = values
		}
	}
	if query.Get("after") != "" {
		p.First = address(path, q)
	}
	if next != "" {
		q.Set("after", next)
		p.Next = address(path, q)
	}
	return p
}

// address joins a path and a query.
func address(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// link leads on.
type link struct{ Href, Text string }

// empty is what a list says that has nothing: {{template "empty" .Empty}}. Next
// says what to do.
type empty struct {
	Icon, Title, Next string
	// Command is shown to be copied, "" for none.
	Command string
	Link    *link
}

// tab is an entry of a row of filters: {{template "tabs" .Tabs}}.
type tab struct {
	Href, Text string
	Count      int // shown if it is not 0
	Here       bool
}

package advisory

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// interval is a piece of the line of versions: from low on, up to and without
// high. An empty low is the beginning, an empty high the end.
type interval struct{ low, high string }

// affectedLine turns Cargo's requirements of what is not affected into the
// events of what is.
func affectedLine(safe []string) ([]Event, error) {
	var all []interval
	for _, s := range safe {
		i, err := parseRequirement(s)
		if err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b interval) int { return compareEnds(a.low, b.low, false) })
	var events []Event
	at := "" // affected from here on
	for _, i := range all {
		if compareEnds(at, i.low, false) < 0 {
			events = append(events, Event{Introduced, cmp.Or(at, beforeAll)}, Event{Fixed, i.low})
		}
		if i.high == "" {
			return events, nil
		}
		if compareEnds(at, i.high, false) < 0 {
			at = i.high
		}
	}
	return append(events, Event{Introduced, cmp.Or(at, beforeAll)}), nil
}

// compareEnds orders two ends; an empty one is the beginning, or the end.
func compareEnds(a, b string, end bool) int {
	switch {
	case a == b:
		return 0
	case a == "":
		return map[bool]int{false: -1, true: 1}[end]
	case b == "":
		return map[bool]int{false: 1, true: -1}[end]
	}
	n, err := CompareVersions("crates.io", a, b)
	if err != nil {
		return cmp.Compare(a, b)
	}
	return n
}

// parseRequirement reads Cargo's ">= 1.2.3, < 2", "^1.2", "~1.2.3", "= 1.0.0",
// "1.2.*": all of its parts must hold.
func parseRequirement(s string) (interval, error) {
	var out interval
	for _, part := range strings.Split(s, ",") {
		i, err := parseComparator(strings.TrimSpace(part))
		if err != nil {
			return out, err
		}
		if compareEnds(out.low, i.low, false) < 0 {
			out.low = i.low
		}
		if compareEnds(i.high, out.high, true) < 0 {
			out.high = i.high
		}
	}
	return out, nil
}

func parseComparator(s string) (interval, error) {
	op := s[:len(s)-len(strings.TrimLeft(s, "<>=^~"))]
	v := strings.TrimSpace(s[len(op):])
	if v == "*" && op == "" {
		return interval{}, nil
	}
	if strings.HasSuffix(v, ".*") && op == "" {
		v, op = strings.TrimSuffix(v, ".*"), "~"
	}
	parts, err := numbers(v)
	if err != nil {
		return interval{}, fmt.Errorf("%.60q is no requirement of Cargo", s)
	}
	switch op {
	case ">=":
		return interval{low: v}, nil
	case ">":
		return interval{low: after(v, parts)}, nil
	case "<":
		return interval{high: v}, nil
	case "<=":
		return interval{high: after(v, parts)}, nil
	case "=":
		return interval{v, after(v, parts)}, nil
	case "", "^":
		return interval{v, caret(parts)}, nil
	case "~":
		return interval{v, bump(parts, min(len(parts)-1, 1))}, nil
	}
	return interval{}, fmt.Errorf("%.60q is no requirement of Cargo", s)
}

// numbers reads the release of a version.
func numbers(v string) ([]int, error) {
	release, _, _ := strings.Cut(v, "+")
	release, _, _ = strings.Cut(release, "-")
	var out []int
	for _, p := range strings.Split(release, ".") {
		n, err := strconv.Atoi(p)
		if err != nil || n < 0 || n > 1<<30 {
			return nil, fmt.Errorf("%.60q is no version", v)
		}
		out = append(out, n)
	}
	return out, nil
}

// after is the least version above v: of a release its next patch's first
// pre-release, of 1.2 that of 1.3, of a pre-release the same with one more part.
func after(v string, parts []int) string {
	if strings.Contains(v, "-") {
		v, _, _ = strings.Cut(v, "+")
		return v + ".0"
	}
	return bump(parts, len(parts)-1) + "-0"
}

// bump adds one to a part and clears what follows.
func bump(parts []int, at int) string {
	out := [3]int{}
	copy(out[:], parts)
	if at > 2 {
		at = 2
	}
	out[at]++
	for i := at + 1; i < 3; i++ {
		out[i] = 0
	}
	return fmt.Sprintf("%d.%d.%d", out[0], out[1], out[2])
}

// caret is the end of what is compatible: the first part that is not zero may
// not change.
func caret(parts []int) string {
	for i, n := range parts {
		if n != 0 || i == len(parts)-1 {
			return bump(parts, i)
		}
	}
	return bump(parts, 0)
}

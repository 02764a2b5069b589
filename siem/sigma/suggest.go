package sigma

import "strings"

// nearest returns the word that s was probably meant to be, "" where none is
// near. Words of up to four letters may differ in one place, others in two.
func nearest(s string, words []string) string {
	limit := 2
	if len(s) <= 4 {
		limit = 1
	}
	if len(s) < 2 || len(s) > 64 {
		return ""
	}
	best, found := limit+1, ""
	for _, w := range words {
		if d := distance(strings.ToLower(s), strings.ToLower(w), best); d < best {
			best, found = d, w
		}
	}
	return found
}

// didYouMean is a question to put behind a message, "" where no word is near.
func didYouMean(s string, words []string) string {
	if w := nearest(s, words); w != "" && w != s {
		return "; did you mean `" + w + "`?"
	}
	return ""
}

// distance counts the letters to put in, leave out, exchange or swap, as long as
// that stays below limit.
func distance(a, b string, limit int) int {
	if abs(len(a)-len(b)) >= limit {
		return limit
	}
	var before []int
	last, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, make([]int, len(b)+1)
	}
	return min(last[len(b)], limit)
}

func abs(n int) int { return max(n, -n) }

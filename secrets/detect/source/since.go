package source

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/interlock-security/interlock/core"
)

// ago is a time counted back from now. Git takes a longer number for a date.
var ago = regexp.MustCompile(`^([0-9]{1,6})[. ](second|minute|hour|day|week|month|year)s?(?:[. ]ago)?$`)

// The years that git reads. It takes others for something else, and none at all for now.
const firstYear, lastYear = 1970, 2099

// farthest is how far back from now git can count without falling off the first year.
const farthest = 50 * 365 * 24 * time.Hour

// CheckSince refuses what isn't a time that git is sure to understand. Git itself never
// does: to it, what says nothing is now, so that no commit would be read.
func CheckSince(since string) error {
	_, err := sinceForGit(since)
	return err
}

// sinceForGit is the time as git is told. A day begins at midnight: git would begin it
// at the time of day that it is now.
func sinceForGit(since string) (string, error) {
	if since == "" || since == "yesterday" || counts(ago.FindStringSubmatch(since)) {
		return since, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339, "2006-01-02T15:04:05", time.DateTime, "2006-01-02 15:04"} {
		at, err := time.Parse(layout, since)
		if err != nil || at.Year() < firstYear || at.Year() > lastYear {
			continue
		}
		if layout == time.DateOnly {
			since += "T00:00:00"
		}
		return since, nil
	}
	return "", core.E(core.KindInvalid, "source.CheckSince", fmt.Sprintf("%q is not a time since which commits are read", since)).
		WithHint(fmt.Sprintf("such as 2026-01-31, 2026-01-31T12:00:00Z, 2.weeks or yesterday; from %d to %d, or 50 years back", firstYear, lastYear))
}

// counts reports whether a number of units is within what git can count.
func counts(m []string) bool {
	if m == nil {
		return false
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	return err == nil && n <= int64(farthest/units[m[2]])
}

const day = 24 * time.Hour

var units = map[string]time.Duration{
	"second": time.Second, "minute": time.Minute, "hour": time.Hour, "day": day, "week": 7 * day, "month": 31 * day, "year": 365 * day,
}

package tuning

import (
	"fmt"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/rules"
	"github.com/interlock-security/interlock/siem/sigma"
)

const (
	// MaxLife is how long an exclusion may last.
	MaxLife = 366 * day
	// maxExclusion is the length of the longest filter, in bytes.
	maxExclusion = 64 << 10
	// maxText is that of an owner and of a reason.
	maxText = 400
)

// exclusion is a filter document that says who answers for it.
type exclusion struct {
	rule *sigma.Rule
	text string
}

// readExclusion reads the text of one filter. What is wrong with it is told with
// its line and column.
func readExclusion(text string) (exclusion, error) {
	const op = "tuning.Exclude"
	if len(text) > maxExclusion {
		return exclusion{}, core.E(core.KindTooLarge, op, fmt.Sprintf("an exclusion has at most %d bytes", maxExclusion))
	}
	list, err := sigma.Parse("exclusion.yml", []byte(text))
	if err != nil {
		return exclusion{}, core.Wrap(core.KindInvalid, op, err)
	}
	if len(list) != 1 || list[0].Filter == nil {
		return exclusion{}, core.E(core.KindInvalid, op, "an exclusion is one Sigma filter document").
			WithHint("it has the keys title, id, owner, reason, expires, logsource and filter; see docs/howto/tune-rules.md")
	}
	f := list[0]
	for _, must := range []struct{ key, is string }{{"owner", f.Filter.Owner}, {"reason", f.Filter.Reason}} {
		if err := checkText(op, must.key, must.is); err != nil {
			return exclusion{}, err
		}
	}
	if f.Filter.Expires.IsZero() {
		return exclusion{}, core.E(core.KindInvalid, op, "an exclusion needs `expires`: a date at most a year away")
	}
	return exclusion{f, text}, nil
}

// lasts says whether an exclusion ends in time.
func (e exclusion) lasts(now time.Time) error {
	until := e.rule.Filter.Expires
	switch {
	case !until.After(now):
		return core.E(core.KindInvalid, "tuning.Exclude", "it has expired already, on "+until.Format(time.DateOnly))
	case until.After(now.Add(MaxLife)):
		return core.E(core.KindInvalid, "tuning.Exclude", "it would last longer than a year; then it is to be looked at again")
	}
	return nil
}

func (e exclusion) file() rules.File { return fileOf(e.rule.ID, e.text) }

// fileOf is an exclusion as a file of the rule set.
func fileOf(id, text string) rules.File {
	return rules.File{Name: "exclusions/" + id + ".yml", Text: text}
}

func checkText(op, name, text string) error {
	if n := len(strings.TrimSpace(text)); n == 0 || len(text) > maxText {
		return core.E(core.KindInvalid, op, fmt.Sprintf("`%s` has 1 to %d bytes, this has %d", name, maxText, n))
	}
	return nil
}

func noRule(id string) error {
	return core.E(core.KindNotFound, "tuning", fmt.Sprintf("no rule in force has the id %.60q", id)).WithHint("list them with: interlock rules list --all")
}

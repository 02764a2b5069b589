package alert

import (
	"slices"
	"strings"
)

// Category is what an alert is about in the words of MITRE ATT&CK: a tactic, or
// a technique. It is derived from the tags of the rule.
//
// ATT&CK is a registered trademark of The MITRE Corporation; ids and names are
// used as its terms of use allow.
type Category struct {
	// ID is "T1110", "T1110.001", "TA0006"; Name its name, "" where this table
	// does not know it.
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	// Tactic marks a tactic; ICS what is of the matrix for industrial control
	// systems.
	Tactic bool `json:"tactic,omitempty"`
	ICS    bool `json:"ics,omitempty"`
}

// String reads "T1110 Brute Force".
func (c Category) String() string {
	if c.Name == "" {
		return c.ID
	}
	return c.ID + " " + c.Name
}

// Categories reads the tags of a rule: tactics first, each once. A sub-technique
// bears the name of its technique. What is no tag of ATT&CK is no category;
// groups and software are not either.
func Categories(tags []string) []Category {
	var tactics, techniques []Category
	for _, tag := range tags {
		name, ours := strings.CutPrefix(strings.ToLower(tag), "attack.")
		if !ours {
			continue
		}
		c, known := category(name)
		switch {
		case !known:
		case c.Tactic && !slices.Contains(tactics, c):
			tactics = append(tactics, c)
		case !c.Tactic && !slices.Contains(techniques, c):
			techniques = append(techniques, c)
		}
	}
	return append(tactics, techniques...)
}

func category(name string) (Category, bool) {
	if isTechnique(name) {
		id := strings.ToUpper(name)
		base, _, _ := strings.Cut(id, ".")
		return Category{ID: id, Name: techniques[base], ICS: strings.HasPrefix(id, "T0")}, true
	}
	plain, ics := strings.CutPrefix(name, "ics.")
	t, known := tactics[strings.ReplaceAll(plain, "_", "-")]
	if !known || ics && t.ics == "" || !ics && t.id == "" && t.ics == "" {
		return Category{}, false
	}
	if ics || t.id == "" {
		return Category{ID: t.ics, Name: t.name, Tactic: true, ICS: true}, true
	}
	return Category{ID: t.id, Name: t.name, Tactic: true}, true
}

// isTechnique reports whether a name is t and four digits, with or without the
// three of a sub-technique.
func isTechnique(name string) bool {
	base, sub, has := strings.Cut(name, ".")
	digits := func(s string, n int) bool { return len(s) == n && strings.Trim(s, "0123456789") == "" }
	return len(base) == 5 && base[0] == 't' && digits(base[1:], 4) && (!has || digits(sub, 3))
}

// tactic is a tactic's id in the matrix for enterprises and in that for
// industrial control systems, "" where it is in one of them alone.
type tactic struct{ name, id, ics string }

var tactics = map[string]tactic{
	"reconnaissance":            {"Reconnaissance", "TA0043", ""},
	"resource-development":      {"Resource Development", "TA0042", ""},
	"initial-access":            {"Initial Access", "TA0001", "TA0108"},
	"execution":                 {"Execution", "TA0002", "TA0104"},
	"persistence":               {"Persistence", "TA0003", "TA0110"},
	"privilege-escalation":      {"Privilege Escalation", "TA0004", "TA0111"},
	"defense-evasion":           {"Defense Evasion", "TA0005", ""},
	"stealth":                   {"Stealth", "TA0005", ""}, // ATT&CK 19 calls it so
	"defense-impairment":        {"Defense Impairment", "TA0112", ""},
	"evasion":                   {"Evasion", "", "TA0103"},
	"credential-access":         {"Credential Access", "TA0006", ""},
	"discovery":                 {"Discovery", "TA0007", "TA0102"},
	"lateral-movement":          {"Lateral Movement", "TA0008", "TA0109"},
	"collection":                {"Collection", "TA0009", "TA0100"},
	"command-and-control":       {"Command and Control", "TA0011", "TA0101"},
	"exfiltration":              {"Exfiltration", "TA0010", ""},
	"impact":                    {"Impact", "TA0040", "TA0105"},
	"inhibit-response-function": {"Inhibit Response Function", "", "TA0107"},
	"impair-process-control":    {"Impair Process Control", "", "TA0106"},
}

// techniques names those that rules use: all for industrial control systems, and
// of the others those that the public rules are tagged with.
var techniques = func() map[string]string {
	out := make(map[string]string, 320)
	for _, table := range []string{enterprise, industrial} {
		for line := range strings.Lines(table) {
			if id, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
				out[id] = name
			}
		}
	}
	return out
}()

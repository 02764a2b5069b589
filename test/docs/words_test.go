package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// beside is what is said of the stop wherever people meet it (TRUST F40).
var beside = regexp.MustCompile(`in addition to, never instead of, a hard-wired emergency stop`)

// TestTheStopIsNotMoreThanItIs: readers learn in each of these places what a
// stop of this product does not replace.
func TestTheStopIsNotMoreThanItIs(t *testing.T) {
	places := map[string]string{}
	for _, name := range []string{"README.md", "SECURITY.md", "docs/howto/stop-and-reset.md"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		places[name] = string(text)
	}
	for _, args := range [][]string{{"stop", "--help"}, {"stop", "trip", "--help"}} {
		out, err := exec.Command(filepath.Join(built(t), "interlock"), args...).Output()
		if err != nil {
			t.Fatal(err)
		}
		places["interlock "+strings.Join(args, " ")] = string(out)
	}
	for name, text := range places {
		flat := strings.Join(strings.Fields(text), " ")
		if !beside.MatchString(flat) || !strings.Contains(flat, "physical lockout") || !strings.Contains(strings.ToLower(flat), "control lock") {
			t.Errorf("%s does not say that a stop is in addition to, never instead of, a hard-wired emergency stop, and a control lock beside physical lockout", name)
		}
	}
}

// otherWords are words for ideas that have another word here. Two words for one
// idea make a tired reader look for two things.
var otherWords = []struct{ wrong, right string }{
	{`emergency stop (function|feature|button of|verb|command)`, "stop request; it is none"},
	{`(software|remote|our|interlock'?s?) (e-?stop|emergency stop)`, "stop request"},
	{`\be-stop\b|\bestop\b|\bkill switch\b`, "stop request"},
	{`\bsoftware lockout\b|\blockout (function|feature)\b`, "control lock"},
	{`\b(root of trust|trust anchor document)\b`, "trust root"},
	{`\b(registration|onboarding) (token|string)\b|\benroll(ment)?\b`, "enrolment"},
	{`\baudit trail\b|\baudit journal\b`, "audit log"},
	{`\b(isolate|isolates|isolated|isolation) (mode|a device|the device)\b`, "quarantine, contain"},
	{`\bsafety[- ](certified|rated) (stop|function of ours)\b`, "nothing of ours is safety-rated"},
}

// TestOneWordPerIdea reads pages and help for words that are not ours.
func TestOneWordPerIdea(t *testing.T) {
	texts := map[string]string{}
	for _, p := range pages(t) {
		texts[p.Path] = p.Text
	}
	for _, section := range help(t) {
		verb, text, _ := strings.Cut(section, "\n")
		texts[verb] = text
	}
	for _, w := range otherWords {
		wrong := regexp.MustCompile(`(?i)` + w.wrong)
		for name, text := range texts {
			if found := wrong.FindString(strings.Join(strings.Fields(text), " ")); found != "" {
				t.Errorf("%s says %q; the word is: %s", name, found, w.right)
			}
		}
	}
}

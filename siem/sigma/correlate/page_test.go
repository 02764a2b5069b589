package correlate_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/correlate"
)

const page = "../../../docs/reference/sigma.md"

var exampleForm = regexp.MustCompile("(?s)```yaml\n(.*?)```\n(?:```(\\w+)\n(.*?)```\n)?")

// correlationExamples are rules of the page with what is said about them.
func correlationExamples(t *testing.T) [][]string {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b), "\n## Correlations\n")
	return exampleForm.FindAllStringSubmatch(text, -1)
}

// TestPageIsTrue executes every example about correlations of
// docs/reference/sigma.md, and wants one for each type and window.
func TestPageIsTrue(t *testing.T) {
	seen := map[string]bool{}
	for _, ex := range correlationExamples(t) {
		text := ex[1]
		if strings.HasPrefix(text, "correlation:") {
			text = "title: T\nname: rule\n" + text
		}
		rules, err := sigma.Parse("x.yml", []byte(text))
		if err != nil || ex[2] != "matches" {
			t.Errorf("%v in %q\n%s", err, ex[2], text)
			continue
		}
		var missing []string
		for _, r := range rules {
			seen[string(r.Correlation.Kind)], seen[string(r.Correlation.Window)] = true, true
			for _, ref := range r.Correlation.Refs {
				known := slices.ContainsFunc(rules, func(o *sigma.Rule) bool { return o.Names(ref.Name) })
				if !known && !slices.Contains(missing, ref.Name) {
					missing = append(missing, ref.Name)
				}
			}
		}
		playMatches(t, newBench(t, correlate.Config{}, detections(missing...)+text), len(rules) > 1, ex[3])
	}
	for _, want := range []string{
		"event_count", "value_count", "value_sum", "value_avg", "value_median", "value_percentile", "temporal", "temporal_ordered",
		"sliding", "tumbling", "session",
	} {
		if !seen[want] {
			t.Errorf("the page has no example of %s", want)
		}
	}
}

// playMatches takes the lines of an example.
func playMatches(t *testing.T, b *bench, names bool, said string) {
	t.Helper()
	var got []string
	n := 0
	for _, line := range strings.Split(strings.TrimSpace(said), "\n") {
		if strings.HasPrefix(line, "=>") {
			continue
		}
		words := strings.Fields(line)
		at, err := time.ParseDuration(words[0])
		if err != nil || len(words) < 2 {
			t.Fatalf("%s: %v", line, err)
		}
		got = append(got, line)
		if words[1] == "tick" {
			b.advance(at.Seconds())
		} else {
			n++
			var fields []string
			for _, w := range words[2:] {
				name, value, _ := strings.Cut(w, "=")
				fields = append(fields, name, value)
			}
			b.fact(correlate.Fact{Event: id(n), At: epoch.Add(at), Received: epoch.Add(at), Provenance: core.ProvenanceLocal}, words[1], fields...)
		}
		for _, f := range b.fired {
			name := ""
			if names {
				name = f.Correlation.Rule.Name + " "
			}
			got = append(got, fmt.Sprintf("=> %s%s: %s", name, strconv.FormatFloat(f.Value, 'f', -1, 64), named([]correlate.Firing{f})))
		}
	}
	if strings.Join(got, "\n") != strings.TrimSpace(said) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), said)
	}
}

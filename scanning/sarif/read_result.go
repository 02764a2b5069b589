package sarif

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

// readResult makes a finding of what a result says is or may be wrong. What
// passed, doesn't apply, or is gone since the baseline is none.
func (rd *reader) readResult(i int, res *result) (f scanning.Finding, ok bool) {
	if res.Kind == "pass" || res.Kind == "notApplicable" || res.BaselineState == "absent" {
		return f, false
	}
	ru := rd.rules.find(res)
	f = scanning.Finding{
		Rule:     clip(cmp.Or(ruleName(res), ru.ID, "unnamed")),
		Severity: severity(res, ru),
		Title:    clip(title(res, ru)),
		Detail:   clip(detail(res, ru)),
		Tags:     resultTags(res, ru),
		Links:    links(res, ru),
	}
	if len(res.Locations) > 0 {
		f.Location = rd.place(res.Locations[0], &i)
	}
	if f.Location.File == "" && f.Location.URL == "" && res.WebRequest != nil {
		f.Location.URL = clip(res.WebRequest.Target)
	}
	f.Class = class(&f, rd.report.Tool.Name, ru)
	if f.Class == scanning.ClassVulnerability {
		vulnerability(&f, res, ru)
	}
	if ours(rd.run) {
		restore(&f, res)
	}
	rd.fingerprint(&f, res)
	return f, true
}

// restore gives a finding that [Write] wrote its own words back.
func restore(f *scanning.Finding, res *result) {
	var x extra
	if !decodeProperty(res.Properties, "interlock", &x) || !slices.Contains(scanning.Classes, x.Class) {
		return
	}
	f.Class, f.Title, f.Detail, f.Redacted, f.Package = x.Class, x.Title, x.Detail, x.Redacted, x.Package
	f.Aliases, f.Advice, f.Fixed, f.Reach, f.Risk = x.Aliases, x.Advice, x.Fixed, x.Reach, x.Risk
	f.Tags, f.Links = x.Tags, x.Links
	if x.VEX != nil {
		f.Tags = append(f.Tags, "vex:"+clip(x.VEX.Status)) // a log can't say who is trusted
	}
	if x.Severity != "" {
		f.Severity = x.Severity
	}
	l := &f.Location
	l.Inner, l.Layer, l.Commit, l.Author, l.Date = x.Inner, x.Layer, x.Commit, x.Author, x.Date
}

// fingerprint names the finding by what survives edits. Where several results
// of a file are the same in all that, they are numbered in their order.
func (rd *reader) fingerprint(f *scanning.Finding, res *result) {
	if fp := res.PartialFingerprints[FingerprintKey]; ours(rd.run) && isFingerprint(fp) {
		f.Fingerprint = fp
		return
	}
	f.Location.Context = rd.context(res)
	base := scanning.Fingerprint(f)
	rd.seen[base]++
	if n := rd.seen[base]; n > 1 && f.Class != scanning.ClassVulnerability {
		f.Location.Context += " #" + strconv.Itoa(n)
	}
	f.Fingerprint = scanning.Fingerprint(f)
}

func isFingerprint(s string) bool {
	return len(s) == 32 && strings.Trim(s, "0123456789abcdef") == ""
}

// context is the tool's own fingerprints if it has any, else the code, else the
// logical place, else the message without its numbers (which may be lines).
func (rd *reader) context(res *result) string {
	for _, prints := range []map[string]string{res.Fingerprints, res.PartialFingerprints} {
		if s := newest(prints); s != "" {
			return s
		}
	}
	var l location
	if len(res.Locations) > 0 {
		l = res.Locations[0]
	}
	if p := l.PhysicalLocation; p != nil {
		for _, reg := range []*region{p.Region, p.ContextRegion} {
			if reg != nil && reg.Snippet != nil && strings.TrimSpace(reg.Snippet.Text) != "" {
				return clip(reg.Snippet.Text)
			}
		}
	}
	for _, ll := range l.LogicalLocations {
		if name := rd.logical(ll); name != "" {
			return clip(name)
		}
	}
	return clip(numbers.ReplaceAllString(res.Message.Text+res.Message.ID+strings.Join(res.Message.Arguments, " "), "#"))
}

var numbers = regexp.MustCompile(`\d+`)

// newest takes the fingerprint of the last key, so that "hash/v2" goes before
// "hash/v1" whatever else a tool adds.
func newest(prints map[string]string) string {
	best := ""
	for k, v := range prints {
		if v != "" && !strings.Contains(v, " ") && k > best { // a sentence is no fingerprint: "requires login"
			best = k
		}
	}
	if best == "" {
		return ""
	}
	return clip(best + "=" + prints[best])
}

// severity is the number of the result or its rule, else the level of the
// result or its rule, else the standard's default, a warning.
func severity(res *result, ru *rule) core.Severity {
	for _, b := range []bag{res.Properties, ru.Properties} {
		if n, ok := number(b, "security-severity"); ok && n > 0 && n <= 10 {
			return severityOf(n)
		}
	}
	lvl := res.Level
	if lvl == "" && res.Kind == "informational" {
		lvl = "none"
	}
	if lvl == "" && ru.DefaultConfiguration != nil {
		lvl = ru.DefaultConfiguration.Level
	}
	if lvl == "none" && (res.Kind == "open" || res.Kind == "review") {
		lvl = "warning" // undecided is not harmless
	}
	return fromLevel(lvl)
}

// number reads a property that some tools write as text and others as a number.
func number(b bag, key string) (float64, bool) {
	n, err := strconv.ParseFloat(strings.Trim(string(b[key]), `" `), 64)
	return n, err == nil && n == n
}

func title(res *result, ru *rule) string {
	return cmp.Or(firstLine(plainOf(ru.ShortDescription)), firstLine(messageText(res, ru)), ru.Name, ruleName(res), ru.ID, "a result without a message")
}

func detail(res *result, ru *rule) string {
	parts := []string{messageText(res, ru)}
	for _, s := range []string{plainOf(ru.FullDescription), suppressedText(res)} {
		if s != "" && !slices.Contains(parts, s) {
			parts = append(parts, s)
		}
	}
	return strings.TrimSpace(strings.Join(parts, "\n\n"))
}

// suppressedText keeps a foreign suppression visible; whether it holds here is
// for the lifecycle to say, and not for a comment in the scanned code.
func suppressedText(res *result) string {
	for _, s := range res.Suppressions {
		if s.Justification != "" {
			return "Suppressed (" + s.Kind + "): " + s.Justification
		}
	}
	return ""
}

// messageText fills a rule's message string with the result's arguments.
func messageText(res *result, ru *rule) string {
	if res.Message.Text != "" || res.Message.ID == "" {
		return plain(fill(res.Message.Text, res.Message.Arguments))
	}
	return plain(fill(ru.MessageStrings[res.Message.ID].Text, res.Message.Arguments))
}

func fill(s string, arguments []string) string {
	if len(s) > maxText || len(arguments) > 100 {
		return s
	}
	for i, a := range arguments {
		s = strings.ReplaceAll(s, fmt.Sprintf("{%d}", i), clip(a))
		if len(s) > maxText {
			return clip(s)
		}
	}
	return s
}

var embeddedLink = regexp.MustCompile(`\[((?:[^\[\]\\]|\\.)*)\]\(([^()]*)\)`)

// plain takes the links out of a message: what they are called stays.
func plain(s string) string {
	s = embeddedLink.ReplaceAllString(clip(s), "$1")
	return strings.NewReplacer(`\[`, "[", `\]`, "]", `\\`, `\`).Replace(s)
}

func plainOf(m *multiformat) string {
	if m == nil {
		return ""
	}
	return plain(m.Text)
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(s)
}

func resultTags(res *result, ru *rule) []string {
	var tags []string
	_ = decodeProperty(ru.Properties, "tags", &tags)
	var more []string
	_ = decodeProperty(res.Properties, "tags", &more)
	if tags = append(tags, more...); len(tags) > 100 {
		tags = tags[:100]
	}
	if res.Kind == "open" || res.Kind == "review" {
		tags = append(tags, "undecided")
	}
	for _, s := range res.Suppressions {
		if s.Status == "" || s.Status == "accepted" {
			tags = append(tags, "suppressed:"+s.Kind)
		}
	}
	for i := range tags {
		tags[i] = clip(tags[i])
	}
	return slices.Compact(tags)
}

func links(res *result, ru *rule) []string {
	var out []string
	for _, l := range []string{ru.HelpURI, res.HostedViewerURI} {
		if l = firstLink([]string{l}); l != "" {
			out = append(out, clip(l))
		}
	}
	return out
}

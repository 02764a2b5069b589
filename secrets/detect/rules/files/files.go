// Package files finds secrets in files of a known format: dotfiles, clients'
// and servers' configurations, dumps. What a file's name proves is believed: in a
// .netrc the word behind "password" is a password, however weak. References to
// variables and stores, and the words that people write where a secret goes,
// are no find.
//
// It stands beside the other readers of secrets/detect/rules. What assignments,
// connection strings and command lines look like anywhere is not its matter.
package files

import (
	"bytes"
	"path"
	"regexp"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/rules/internal/look"
	"github.com/interlock-security/interlock/secrets/detect/rules/known"
)

const (
	low      = core.SeverityLow
	medium   = core.SeverityMedium
	high     = core.SeverityHigh
	critical = core.SeverityCritical
)

// format is a file whose secrets stand where a pattern says.
type format struct {
	id, title string
	kind      detect.Kind
	severity  core.Severity
	// names are base names in small letters, with * for any text; in is what the
	// path must hold and needs what the text must, when they are not enough.
	names []string
	in    string
	needs string
	// patterns are RE2 whose last group that took part is the secret.
	patterns []string
	// keep judges it; nil asks that it is no stand-in.
	keep func(secret []byte) bool
	// read takes the place of patterns.
	read func(body []byte, emit func(start, end int))
}

func (f *format) rule() detect.Rule {
	return detect.Rule{ID: f.id, Title: f.title, Kind: f.kind, Severity: f.severity, Tags: []string{"file"}}
}

// Grammars returns the readers: one that knows all formats.
func Grammars() []detect.Grammar {
	return []detect.Grammar{newReader(families()...)}
}

func families() [][]format {
	return [][]format{shells(), clients(), transfers(), mailers(), clouds(), builds(), frameworks(), automation(), websites(), editors(), databases(), systems(), daemons(), nets(), manifests(), tables()}
}

type compiled struct {
	*format
	res []*regexp.Regexp
}

// reader is the grammar of all formats. It is made once and never changes.
type reader struct {
	rules []detect.Rule
	exact map[string][]compiled
	globs []glob
}

type glob struct {
	prefix, middle, suffix string
	format                 compiled
}

func newReader(families ...[]format) *reader {
	r := &reader{exact: map[string][]compiled{}}
	seen := map[string]bool{}
	for _, family := range families {
		for i := range family {
			f := &family[i]
			if !seen[f.id] {
				seen[f.id] = true
				r.rules = append(r.rules, f.rule())
			}
			r.add(f)
		}
	}
	return r
}

func (r *reader) add(f *format) {
	c := compiled{format: f}
	for _, p := range f.patterns {
		c.res = append(c.res, regexp.MustCompile(p))
	}
	for _, name := range f.names {
		prefix, rest, wild := strings.Cut(name, "*")
		if !wild {
			r.exact[name] = append(r.exact[name], c)
			continue
		}
		middle, suffix, second := strings.Cut(rest, "*")
		if !second {
			middle, suffix = "", rest
		}
		r.globs = append(r.globs, glob{prefix, middle, suffix, c})
	}
}

func (g *glob) matches(base string) bool {
	return len(base) >= len(g.prefix)+len(g.suffix) && strings.HasPrefix(base, g.prefix) && strings.HasSuffix(base, g.suffix) &&
		strings.Contains(base[len(g.prefix):], g.middle)
}

// Rules implements detect.Grammar.
func (r *reader) Rules() []detect.Rule { return r.rules }

// Keywords implements detect.Grammar: it reads files, not places.
func (r *reader) Keywords() []string { return nil }

// At implements detect.Grammar.
func (r *reader) At(detect.Text, int, int, func(detect.Hit)) {}

// Wants implements detect.Grammar.
func (r *reader) Wants(name string) bool {
	wanted := false
	r.each(name, func(*compiled) { wanted = true })
	return wanted
}

// prose are kinds of files that are never what their name begins with, and those
// that show what others should hold.
var prose = map[string]bool{".md": true, ".rst": true, ".adoc": true, ".html": true, ".htm": true, ".go": true, ".svg": true, ".dist": true, ".template": true, ".tmpl": true}

func (r *reader) each(name string, do func(*compiled)) {
	if name == "" {
		return
	}
	small := strings.ToLower(name)
	base := path.Base(small)
	if prose[path.Ext(base)] || strings.Contains(base, "example") || strings.Contains(base, "sample") {
		return
	}
	list := r.exact[base]
	for i := range list {
		if strings.Contains(small, list[i].in) {
			do(&list[i])
		}
	}
	for i := range r.globs {
		if g := &r.globs[i]; g.matches(base) && strings.Contains(small, g.format.in) {
			do(&g.format)
		}
	}
}

// All implements detect.Grammar.
func (r *reader) All(t detect.Text, emit func(detect.Hit)) {
	r.each(t.Path, func(c *compiled) {
		if c.needs != "" && !bytes.Contains(t.Body, []byte(c.needs)) {
			return
		}
		c.find(t.Body, func(start, end, from, to int) {
			emit(detect.Hit{Rule: c.id, Start: start, End: end, MatchStart: from, MatchEnd: to})
		})
	})
}

func (c *compiled) find(body []byte, emit func(start, end, from, to int)) {
	consider := func(start, end, from, to int) {
		start, end = bare(body, start, end)
		if start < end && c.kept(body[start:end]) {
			emit(start, end, from, to)
		}
	}
	if c.read != nil {
		c.read(body, func(start, end int) { consider(start, end, start, end) })
	}
	for _, re := range c.res {
		for _, m := range re.FindAllSubmatchIndex(body, -1) {
			for i := len(m) - 2; i >= 2; i -= 2 {
				if m[i] >= 0 {
					consider(m[i], m[i+1], m[0], m[1])
					break
				}
			}
		}
	}
}

func (c *compiled) kept(secret []byte) bool {
	if look.Standin(secret) || known.Disproved(secret) {
		return false
	}
	return c.keep == nil || c.keep(secret)
}

// bare takes quotes, spaces and what follows a closing quote off a value.
func bare(body []byte, start, end int) (int, int) {
	for start < end && (body[start] == ' ' || body[start] == '\t') {
		start++
	}
	for end > start && (body[end-1] == ' ' || body[end-1] == '\t' || body[end-1] == '\r') {
		end--
	}
	if end-start < 2 {
		return start, end
	}
	if q := body[start]; q == '"' || q == '\'' || q == '`' {
		if i := closing(body[start+1:end], q); i >= 0 {
			return start + 1, start + 1 + i
		}
		return start, end
	}
	if bytes.HasPrefix(body[start:end], []byte("base64:")) { // Laravel's
		start += len("base64:")
	}
	if i := bytes.Index(body[start:end], []byte(" #")); i > 0 {
		end = start + i
		for end > start && body[end-1] == ' ' {
			end--
		}
	}
	return start, end
}

// closing is the first quote that no backslash hides.
func closing(b []byte, q byte) int {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case q:
			return i
		}
	}
	return -1
}

// secretName is what the name of a setting that keeps a secret holds.
const secretName = `(?:pass(?:w(?:or)?d|phrase|_?code)?|pwd|secret|token|api_?key|apikey|app_?key|access_?key|auth_?key|private_?key|priv_?key|signing_?key|encryption_?key|master_?key|credentials?|cred)` //nolint:gosec // names of secrets, and no secret

// toEnd takes a value up to the end of its line.
const toEnd = `([^\r\n]+)`

// jsonMember is a string member of a JSON object whose name says it is a secret.
const jsonMember = `(?i)"[\w.\- ]{0,40}?` + secretName + `"[ \t]*:[ \t]*"((?:[^"\\\n]|\\.)+)"`

// Names returns, by rule, the names of the files that are read, in small letters
// and with * for any text; what the path must hold besides stands before them.
func Names() map[string][]string {
	names := map[string][]string{}
	for _, family := range families() {
		for _, f := range family {
			for _, n := range f.names {
				names[f.id] = append(names[f.id], f.in+n)
			}
		}
	}
	return names
}

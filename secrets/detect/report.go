package detect

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
)

// report settles who speaks for what was found, and hands the leaks over.
func (s *scan) report(alphabet []string, emit func(*Leak)) {
	if len(s.finds) == 0 {
		return
	}
	s.sort()
	s.locate()
	s.require()
	if s.d.every {
		s.dropGeneric()
	} else {
		s.settle()
	}
	masks := s.masks()
	ordinals := map[string]int{}
	for i := range s.finds {
		if f := &s.finds[i]; !f.lost {
			emit(s.leak(f, masks, ordinals, alphabet))
		}
	}
}

// tellSpared hands over what somebody excuses. Its secrets are masked beside the
// others, and nothing of the others changes by it.
func (s *scan) tellSpared(alphabet []string, emit func(*Leak)) {
	if len(s.spared) == 0 {
		return
	}
	reported := s.finds
	s.finds = slices.DeleteFunc(s.spared, func(f find) bool { return f.rule.Silent })
	s.sort()
	s.locate()
	s.settle()
	spared := s.finds
	s.finds = slices.Concat(spared, reported)
	s.sort()
	masks := s.masks()
	ordinals := map[string]int{}
	for i := range spared {
		if f := &spared[i]; !f.lost {
			l := s.leak(f, masks, ordinals, alphabet)
			l.Allowed = f.allowed
			emit(l)
		}
	}
}

func (s *scan) sort() {
	slices.SortStableFunc(s.finds, func(a, b find) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.end, b.end))
	})
}

func (s *scan) locate() {
	for i := range s.finds {
		f := &s.finds[i]
		f.line, f.col = s.lines.place(s.base.Body, f.at)
		f.matchLine, f.matchCol = f.line, f.col-(f.at-f.matchAt)
		if n := bytes.Count(s.base.Body[f.matchAt:f.at], newline); n > 0 {
			from, _ := lineBounds(s.base.Body, f.matchAt, f.matchAt, s.d.limits.Secret)
			f.matchLine, f.matchCol = f.line-n, f.matchAt-from+1
		}
	}
}

// require drops finds whose companions are missing, and silent ones once they
// have spoken for others.
func (s *scan) require() {
	for i := range s.finds {
		f := &s.finds[i]
		for n, other := range f.rule.requires {
			if !s.near(f, other, f.rule.Requires[n]) {
				f.lost = true
			}
		}
	}
	for i := range s.finds {
		if f := &s.finds[i]; f.rule.Silent {
			f.lost = true
		}
	}
}

func (s *scan) near(f *find, other *rule, q Require) bool {
	return slices.ContainsFunc(s.finds, func(o find) bool {
		return o.rule == other &&
			(q.WithinLines == nil || distance(f.matchLine, o.matchLine) <= *q.WithinLines) &&
			(q.WithinColumns == nil || distance(f.matchCol, o.matchCol) <= *q.WithinColumns)
	})
}

func distance(a, b int) int { return max(a-b, b-a) }

// dropGeneric keeps every rule's find but a generic one's whose secret is part
// of a specific one's on the same line.
func (s *scan) dropGeneric() {
	for i := range s.finds {
		f := &s.finds[i]
		if f.rule.rank != rankGeneric {
			continue
		}
		f.lost = f.lost || slices.ContainsFunc(s.finds, func(o find) bool {
			return !o.lost && o.rule.rank != rankGeneric && o.matchLine == f.matchLine && bytes.Contains(o.secret, f.secret)
		})
	}
}

// settle lets the most specific of those that see the same secret speak: a
// token whose checksum holds, a token, a grammar, what is generic; what was
// found without decoding, the longer one, the earlier rule.
func (s *scan) settle() {
	last := -1 // who holds the place up to its end
	for i := range s.finds {
		f := &s.finds[i]
		if f.lost {
			continue
		}
		if last < 0 || !sameSecret(&s.finds[last], f) {
			last = i
			continue
		}
		if h := &s.finds[last]; f.beats(h) {
			h.lost = true
			last = i
		} else {
			f.lost = true
		}
	}
}

func sameSecret(a, b *find) bool {
	if len(a.secret) == 0 || len(b.secret) == 0 || b.at >= a.end {
		return false
	}
	if len(a.decoded) == 0 || len(b.decoded) == 0 {
		return true
	}
	return bytes.Contains(a.secret, b.secret) || bytes.Contains(b.secret, a.secret)
}

func (f *find) rankNow() int {
	if f.verdict == Valid {
		return rankValid
	}
	return f.rule.rank
}

func (f *find) beats(o *find) bool {
	return cmp.Or(
		cmp.Compare(f.rankNow(), o.rankNow()),
		cmp.Compare(len(o.decoded), len(f.decoded)),
		cmp.Compare(len(f.secret), len(o.secret)),
	) > 0
}

// mask is a part of the text that is never shown.
type mask struct {
	at, end int
	shown   string
}

// masks covers all that any rule took for a secret, also where another one
// speaks for it.
func (s *scan) masks() []mask {
	var out []mask
	for i := range s.finds {
		f := &s.finds[i]
		if f.at >= f.end {
			continue
		}
		if n := len(out) - 1; n >= 0 && f.at < out[n].end {
			out[n].end = max(out[n].end, f.end)
			if !f.lost {
				out[n].shown = Redact(f.secret)
			}
			continue
		}
		out = append(out, mask{f.at, f.end, Redact(f.secret)})
	}
	return out
}

func (s *scan) leak(f *find, masks []mask, ordinals map[string]int, alphabet []string) *Leak {
	endLine, endColumn := f.line, f.col+f.end-f.at
	if n := bytes.Count(s.base.Body[f.at:f.end], newline); n > 0 {
		endLine += n
		endColumn = f.end - bytes.LastIndexByte(s.base.Body[:f.end], '\n')
	}
	l := &Leak{
		Rule: f.rule.ID, Title: f.rule.Title, Kind: f.rule.Kind, Severity: f.rule.Severity,
		Place: Place{
			Path: s.text.Path, Line: f.line, Column: f.col,
			EndLine: endLine, EndColumn: endColumn, Commit: s.text.Commit,
		},
		Excerpt:   s.excerpt(f, masks, excerptReach, ""),
		Entropy:   f.entropy,
		Decoded:   append(slices.Clone(alphabet), f.decoded...),
		Verdict:   f.verdict,
		Tags:      slices.Clone(f.rule.Tags),
		MatchLine: f.matchLine,
	}
	if len(f.secret) == 0 {
		l.Place.Line, l.Place.Column, l.Place.EndLine, l.Place.EndColumn = 0, 0, 0, 0
		l.MatchLine, l.Excerpt = 0, ""
	} else {
		l.Redacted = Redact(f.secret)
		l.Secret = core.NewSecret(bytes.Clone(f.secret))
		// What was dropped at a limit has no mask, and may stand on this line.
		if s.full || s.budget.Over() {
			l.Excerpt = l.Redacted
		}
	}
	l.Fingerprint = s.fingerprint(f, masks, ordinals)
	if s.d.sample != nil && s.d.sample(&Suspect{f.rule.Rule, s.text.Path, s.base.Body, f.at, f.secret, f.verdict}) {
		l.Sample, l.Severity = true, core.SeverityInfo
	}
	return l
}

// What of a long line is shown, and what of it names a leak.
const (
	excerptReach     = 120
	fingerprintReach = 240
)

// excerpt is the line on which a secret begins, everything masked. Where with
// is not empty it stands for each mask.
func (s *scan) excerpt(f *find, masks []mask, most int, with string) string {
	body := s.base.Body
	from, to := lineBounds(body, f.at, f.end, most)
	if i := bytes.IndexByte(body[f.at:f.end], '\n'); i >= 0 {
		to = f.at + i
	}
	var out strings.Builder
	i, _ := slices.BinarySearchFunc(masks, from, func(m mask, at int) int { return cmp.Compare(m.end, at+1) })
	for ; i < len(masks) && masks[i].at < to; i++ {
		m := masks[i]
		if m.at > from {
			out.Write(body[from:m.at])
		}
		if with != "" {
			out.WriteString(with)
		} else {
			out.WriteString(m.shown)
		}
		from = m.end
	}
	if from < to {
		out.Write(body[from:to])
	}
	return strings.TrimSpace(strings.ToValidUTF8(s.again(f, out.String(), with), "\uFFFD"))
}

// again masks secrets that stand in the line once more, where no rule saw them.
func (s *scan) again(f *find, line, with string) string {
	i, _ := slices.BinarySearchFunc(s.finds, f.at-excerptReach, func(o find, at int) int { return cmp.Compare(o.at, at) })
	for n := i; n < len(s.finds) && n < i+maxAgain; n++ {
		o := &s.finds[n]
		if o.at > f.end+excerptReach {
			break
		}
		if len(o.secret) < leastAgain || !strings.Contains(line, string(o.secret)) {
			continue
		}
		shown := with
		if shown == "" {
			shown = Redact(o.secret)
		}
		line = strings.ReplaceAll(line, string(o.secret), shown)
	}
	return line
}

// maxAgain is how many secrets are looked for in one line.
const maxAgain = 32

// leastAgain is how long a secret must be to be known again by its bytes.
const leastAgain = 6

// fingerprint names a leak by what stays: its kind, its file, and its line
// without any secret, white space folded. Equal ones are counted.
func (s *scan) fingerprint(f *find, masks []mask, ordinals map[string]int) string {
	line := ""
	if len(f.secret) > 0 {
		line = strings.Join(strings.Fields(s.excerpt(f, masks, fingerprintReach, "\x00")), " ")
	}
	key := string(f.rule.Kind) + "\x00" + line
	n := ordinals[key]
	ordinals[key]++
	h := sha256.New()
	for _, part := range []string{"leak/v1", string(f.rule.Kind), s.text.Path, line} {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		_, _ = h.Write([]byte(part))
	}
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

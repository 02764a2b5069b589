package hunt

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma"
)

// Bounds on what is loaded as rules.
const (
	maxRuleFiles = 100_000
	maxRuleBytes = 1 << 30
)

// RuleFault is a rule that the hunt goes on without.
type RuleFault struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Why    string `json:"why"`
}

// String tells where and what.
func (f RuleFault) String() string {
	if f.Line == 0 {
		return f.File + ": " + f.Why
	}
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Why)
}

// RuleFile is the text of one file of rules.
type RuleFile struct {
	Name string
	Text []byte
}

// ReadRules reads rule files: each path is one, a folder with them (*.yml,
// *.yaml), or a gzipped tar archive of such a folder.
func ReadRules(paths []string) ([]RuleFile, error) {
	var out []RuleFile
	size := 0
	for _, path := range paths {
		before := len(out)
		err := ruleFiles(path, func(name string, r io.Reader) error {
			text, err := io.ReadAll(io.LimitReader(r, sigma.MaxFile+1))
			if err != nil {
				return core.Wrap(core.KindInvalid, "hunt.ReadRules", fmt.Errorf("%s: %w", name, err))
			}
			if size += len(text); size > maxRuleBytes || len(out) >= maxRuleFiles {
				return core.E(core.KindTooLarge, "hunt.ReadRules", path+" holds more than could be rules")
			}
			out = append(out, RuleFile{name, text})
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(out) == before {
			return nil, core.E(core.KindNotFound, "hunt.ReadRules", "no rules (*.yml, *.yaml) in "+path)
		}
	}
	return out, nil
}

func ruleFiles(path string, take func(name string, r io.Reader) error) error {
	info, err := os.Stat(path)
	if err != nil {
		return core.Wrap(core.KindNotFound, "hunt.ReadRules", err).(*core.Error).WithHint("--rules takes a file or a folder") //nolint:errorlint,forcetypeassert // made right here
	}
	if !info.IsDir() {
		return ruleFile(path, take)
	}
	return filepath.WalkDir(path, func(at string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !isRuleName(at) {
			return err
		}
		return ruleFile(at, take)
	})
}

func isRuleName(name string) bool {
	ext := filepath.Ext(name)
	return ext == ".yml" || ext == ".yaml"
}

func ruleFile(path string, take func(name string, r io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return core.Wrap(core.KindNotFound, "hunt.ReadRules", err)
	}
	defer f.Close()
	br := bufio.NewReader(f)
	if head, _ := br.Peek(2); string(head) == "\x1f\x8b" {
		return archived(path, br, take)
	}
	return take(path, br)
}

// archived goes through a .tar.gz.
func archived(path string, r io.Reader, take func(name string, r io.Reader) error) error {
	zr, err := gzip.NewReader(r)
	if err != nil {
		return core.Wrap(core.KindInvalid, "hunt.ReadRules", fmt.Errorf("%s: %w", path, err))
	}
	bounded := &io.LimitedReader{R: zr, N: maxRuleBytes}
	for tr := tar.NewReader(bounded); ; {
		head, err := tr.Next()
		switch {
		case bounded.N <= 0:
			return core.E(core.KindTooLarge, "hunt.ReadRules", path+" unpacks to more than could be rules")
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return core.Wrap(core.KindInvalid, "hunt.ReadRules", fmt.Errorf("%s: %w", path, err))
		}
		if head.Typeflag == tar.TypeReg && isRuleName(head.Name) {
			if err := take(head.Name, tr); err != nil {
				return err
			}
		}
	}
}

// Parse reads rules on all cores. A file that is wrong in one place gives none
// of its rules. Of rules with the same id the first counts.
func Parse(files []RuleFile) ([]*sigma.Rule, []RuleFault) {
	parsed := make([][]*sigma.Rule, len(files))
	errs := make([]error, len(files))
	next := make(chan int)
	var parsers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		parsers.Go(func() {
			for i := range next {
				parsed[i], errs[i] = sigma.Parse(files[i].Name, files[i].Text)
			}
		})
	}
	for i := range files {
		next <- i
	}
	close(next)
	parsers.Wait()
	var out []*sigma.Rule
	var faults []RuleFault
	for i := range files {
		if errs[i] != nil {
			faults = append(faults, ruleFault(files[i].Name, errs[i]))
			continue
		}
		out = append(out, parsed[i]...)
	}
	out, same := distinct(out)
	return out, append(faults, same...)
}

func ruleFault(file string, err error) RuleFault {
	var at *sigma.Error
	if errors.As(err, &at) {
		return RuleFault{at.File, at.Line, at.Col, at.Msg}
	}
	return RuleFault{File: file, Why: err.Error()}
}

// distinct drops rules whose id or name is taken. The same file given twice is
// no fault.
func distinct(rules []*sigma.Rule) (out []*sigma.Rule, faults []RuleFault) {
	taken := make(map[string]*sigma.Rule, len(rules))
	for _, r := range rules {
		first := taken[r.ID]
		if first == nil && r.Name != "" {
			first = taken["name:"+r.Name]
		}
		if first != nil {
			if first.File != r.File || first.Pos != r.Pos {
				faults = append(faults, RuleFault{r.File, r.Pos.Line, r.Pos.Col, fmt.Sprintf("has the id or name of %s:%d, which was loaded first", first.File, first.Pos.Line)})
			}
			continue
		}
		taken[r.ID] = r
		if r.Name != "" {
			taken["name:"+r.Name] = r
		}
		out = append(out, r)
	}
	return out, faults
}

// Compile makes an engine of those rules that can be compiled, and tells of the
// others. The error is one that no rule is to blame for.
func Compile(rules []*sigma.Rule, o sigma.Options) (*sigma.Engine, []RuleFault, error) {
	e, err := sigma.Compile(rules, o)
	if err == nil {
		return e, nil, nil
	}
	rules, faults := alone(rules, o)
	for range 1 + len(rules) {
		if e, err = sigma.Compile(rules, o); err == nil {
			return e, faults, nil
		}
		i := culprit(rules, err)
		if i < 0 {
			break
		}
		faults = append(faults, ruleFault(rules[i].File, err))
		rules = slices.Delete(rules, i, i+1)
	}
	return nil, faults, core.Wrap(core.KindInvalid, "hunt.Compile", err)
}

// alone compiles each detection by itself: most faults need no other rule. A
// filter needs those that it names.
func alone(rules []*sigma.Rule, o sigma.Options) (out []*sigma.Rule, faults []RuleFault) {
	o.Routes = nil
	for _, r := range rules {
		if r.Correlation == nil && r.Filter == nil {
			if _, err := sigma.Compile([]*sigma.Rule{r}, o); err != nil {
				faults = append(faults, ruleFault(r.File, err))
				continue
			}
		}
		out = append(out, r)
	}
	return out, faults
}

// culprit is the rule that an error is about: the last of its file that begins
// before the place.
func culprit(rules []*sigma.Rule, err error) int {
	var at *sigma.Error
	if !errors.As(err, &at) {
		return -1
	}
	best := -1
	for i, r := range rules {
		if r.File == at.File && r.Pos.Line <= at.Line && (best < 0 || r.Pos.Line > rules[best].Pos.Line) {
			best = i
		}
	}
	return best
}

// ParseLogsource reads product/category/service, with - or nothing where a part
// is open.
func ParseLogsource(s string) (sigma.Logsource, error) {
	parts := strings.Split(s, "/")
	for i, p := range parts {
		if p == "-" || p == "*" {
			parts[i] = ""
		}
	}
	for len(parts) < 3 {
		parts = append(parts, "")
	}
	l := sigma.Logsource{Product: strings.ToLower(parts[0]), Category: strings.ToLower(parts[1]), Service: strings.ToLower(parts[2])}
	if len(parts) > 3 || l == (sigma.Logsource{}) {
		return l, core.E(core.KindInvalid, "hunt.ParseLogsource", fmt.Sprintf("%q is not a logsource", s)).WithHint("write product/category/service, for example windows/process_creation or linux/-/auditd")
	}
	return l, nil
}

package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/rules"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/sigmatest"
)

type rulesCmd struct {
	Check      rulesCheckCmd      `cmd:"" help:"Read and compile rules as the server would; every problem names path, line and column."`
	Test       rulesTestCmd       `cmd:"" help:"Run rule tests (*.test): load events, expect alerts."`
	Explain    rulesExplainCmd    `cmd:"" help:"Say of an event which rules fire, which nearly do, and why."`
	List       rulesListCmd       `cmd:"" help:"The rules that the server judges events by."`
	Disable    rulesDisableCmd    `cmd:"" help:"Take one rule's alerts away, with owner and reason."`
	Enable     rulesEnableCmd     `cmd:"" help:"Bring a rule back, or end an exclusion."`
	Exclude    rulesExcludeCmd    `cmd:"" help:"Keep events from rules for a time: try it on past events, look, and bring it into force."`
	Exclusions rulesExclusionsCmd `cmd:"" help:"Rules that are out of force, and exclusions."`
	Backtest   rulesBacktestCmd   `cmd:"" help:"See which alerts an exclusion or other rules would have taken away or added."`
	Noise      rulesNoiseCmd      `cmd:"" help:"What each rule cost the people who look at alerts, and what could be done."`
	Coverage   rulesCoverageCmd   `cmd:"" help:"Say which rules can fire at all, given the logsources and fields that events really had."`
	Bench      rulesBenchCmd      `cmd:"" help:"Measure what rules cost on your own events, and which of them cost most."`
}

// maxRuleFiles bounds how many files of a folder are read.
const maxRuleFiles = 100_000

// ruleFiles reads a rule file, or those below a folder, named as the user
// reaches them.
func ruleFiles(path string) ([]rules.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, core.Wrap(core.KindNotFound, "rules", err)
	}
	if !info.IsDir() {
		f, err := ruleFile(path)
		return []rules.File{f}, err
	}
	var files []rules.File
	err = filepath.WalkDir(path, func(at string, d fs.DirEntry, err error) error {
		if ext := filepath.Ext(at); err != nil || !d.Type().IsRegular() || ext != ".yml" && ext != ".yaml" {
			return err
		}
		f, err := ruleFile(at)
		if files = append(files, f); err == nil && len(files) > maxRuleFiles {
			err = core.E(core.KindTooLarge, "rules", fmt.Sprintf("%s holds more than %d rule files", path, maxRuleFiles))
		}
		return err
	})
	if err == nil && len(files) == 0 {
		err = core.E(core.KindNotFound, "rules", "no rules (*.yml, *.yaml) below "+path)
	}
	return files, err
}

// ruleFile reads a rule file. Of one that is too large it reads enough for the
// parser to say so.
func ruleFile(path string) (rules.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return rules.File{}, core.Wrap(core.KindNotFound, "rules", err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, sigma.MaxFile+1))
	if err != nil {
		return rules.File{}, core.Wrap(core.KindUnavailable, "rules", err)
	}
	return rules.File{Name: path, Text: string(b)}, nil
}

type rulesTestCmd struct {
	Path string `arg:"" help:"A test file, or a folder with tests (*.test) beside their rules." type:"existingpath"`
}

// Help implements kong's long help.
func (rulesTestCmd) Help() string {
	return `A test says which rule files it is about, loads events at stated times and names the alerts that must stand at the end, no more
and no less. Normaliser, engine and windows are those of the server.

  rules sshd_*.yml
  load 5s
    sshd Failed password for u{i} from 203.0.113.9 port 4{i} ssh2 *10
  eval at 10m
    sshd-credential-stuffing count=10

Exit code 0 when all hold, 1 when one does not, 2 when a test can't be run.

Example:
  interlock rules test /etc/interlock/rules`
}

// ruleTest is the outcome of one test file.
type ruleTest struct {
	File     string   `json:"file"`
	Evals    int      `json:"evals"`
	Failures []string `json:"failures"`
}

// Run runs the tests, all of them also when one fails.
func (c *rulesTestCmd) Run(e *env) error {
	dir, tests, err := ruleTests(c.Path)
	if err != nil {
		return err
	}
	var done []ruleTest
	failed := 0
	for _, name := range tests {
		result, err := sigmatest.Run(e.ctx, os.DirFS(dir), name)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(dir, name), err)
		}
		t := ruleTest{File: filepath.Join(dir, name), Evals: result.Evals, Failures: []string{}}
		for _, f := range result.Failures {
			t.Failures = append(t.Failures, filepath.Join(dir, f.File)+strings.TrimPrefix(f.String(), f.File))
		}
		failed += len(t.Failures)
		done = append(done, t)
	}
	if err := e.show(done, func(w io.Writer) { tellRuleTests(w, done) }); err != nil {
		return err
	}
	if failed > 0 {
		return errFindings
	}
	return nil
}

// ruleTests finds the tests: the folder that they are read from, and their
// names in it.
func ruleTests(path string) (dir string, tests []string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", nil, core.Wrap(core.KindNotFound, "rules test", err)
	}
	if !info.IsDir() {
		return filepath.Dir(path), []string{filepath.Base(path)}, nil
	}
	tests, err = sigmatest.Find(os.DirFS(path), ".")
	if err == nil && len(tests) == 0 {
		err = core.E(core.KindNotFound, "rules test", "no tests (*.test) below "+path)
	}
	return path, tests, err
}

func tellRuleTests(w io.Writer, done []ruleTest) {
	for _, t := range done {
		verdict := "ok"
		if len(t.Failures) > 0 {
			verdict = "FAIL"
		}
		_, _ = fmt.Fprintf(w, "%-4s %s (%d evaluations)\n", verdict, printable(t.File), t.Evals)
		for _, f := range t.Failures {
			_, _ = fmt.Fprintln(w, "     "+printable(f))
		}
	}
}

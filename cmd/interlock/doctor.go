package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link/ceremony"
)

type doctorCmd struct{}

// Help implements kong's long help.
func (doctorCmd) Help() string {
	return `Looks and changes nothing. What could not be looked at is "skipped", never "pass".

Exit code 0 when everything passed, 1 when something is a warning or a failure, 2 when nothing is but not everything could be
looked at.

Example:
  interlock doctor
  interlock doctor --json | jq '.[] | select(.result != "pass")'`
}

// result is how a check ended.
type result string

const (
	resultPass    result = "pass"
	resultFail    result = "fail"
	resultWarning result = "warning"
	resultSkipped result = "skipped"
)

// finding is a check with its outcome and the next step.
type finding struct {
	Check  string `json:"check"`
	Result result `json:"result"`
	Detail string `json:"detail"`
	Next   string `json:"next,omitempty"`
}

func pass(detail string, args ...any) finding {
	return finding{Result: resultPass, Detail: fmt.Sprintf(detail, args...)}
}

func failed(next, detail string, args ...any) finding {
	return finding{Result: resultFail, Detail: fmt.Sprintf(detail, args...), Next: next}
}

func warning(next, detail string, args ...any) finding {
	return finding{Result: resultWarning, Detail: fmt.Sprintf(detail, args...), Next: next}
}

func skipped(next, detail string, args ...any) finding {
	return finding{Result: resultSkipped, Detail: fmt.Sprintf(detail, args...), Next: next}
}

// patient is what the checks look at.
type patient struct {
	*env
	data, keys string
	status     *api.Status // nil where the server did not answer
	statusErr  error
	now        time.Time
	sys, proc  fs.FS // the kernel's own
}

// checks is the list; each looks at one thing.
var checks = []struct {
	name string
	look func(*patient) finding
}{
	{"trust root", (*patient).trustRoot},
	{"recovery keys", (*patient).recoveryKeys},
	{"keys apart from data", (*patient).apart},
	{"key directory", (*patient).keyDirectory},
	{"data directory", (*patient).dataDirectory},
	{"disk space", (*patient).diskSpace},
	{"disk encryption", (*patient).diskEncryption},
	{"clock", (*patient).clock},
	{"server", (*patient).server},
	{"audit log", (*patient).auditLog},
	{"keys process", (*patient).keysProcess},
}

// Run looks at everything, in an order in which one explains the next.
func (doctorCmd) Run(e *env) error {
	p := &patient{env: e, data: e.global.Data, keys: e.global.Keys, now: time.Now(), sys: os.DirFS("/sys"), proc: os.DirFS("/proc")}
	var s api.Status
	if p.statusErr = e.client().Get(e.ctx, "/v1/status", nil, &s); p.statusErr == nil {
		p.status = &s
	}
	list := make([]finding, 0, len(checks))
	for _, c := range checks {
		f := c.look(p)
		f.Check = c.name
		list = append(list, f)
	}
	if err := e.show(list, func(w io.Writer) { tellFindings(w, list) }); err != nil {
		return err
	}
	return diagnosis(list)
}

// diagnosis is the exit code: findings before gaps.
func diagnosis(list []finding) error {
	var gaps []string
	for _, f := range list {
		switch f.Result {
		case resultPass:
		case resultSkipped:
			gaps = append(gaps, f.Check)
		default:
			return errFindings
		}
	}
	if len(gaps) > 0 {
		return core.E(core.KindUnavailable, "doctor", "not looked at: "+strings.Join(gaps, ", "))
	}
	return nil
}

func tellFindings(w io.Writer, list []finding) {
	rows := make([][]string, 0, len(list))
	for _, f := range list {
		rows = append(rows, []string{string(f.Result), f.Check, f.Detail})
		if f.Next != "" {
			rows = append(rows, []string{"", "", "next: " + f.Next})
		}
	}
	table(w, "RESULT CHECK DETAIL", rows)
}

func (p *patient) trustRoot() finding {
	trust, err := ceremony.LoadTrust(p.keys)
	switch {
	case core.KindOf(err) == core.KindNotFound:
		return skipped("interlock up, or interlock root init", "no trust root in %s", p.keys)
	case err != nil:
		return failed(hintOr(err, "restore it, and compare its sha256 with the ceremony sheet"), "%v", err)
	}
	root := trust.Root()
	review := time.UnixMicro(root.ReviewBy)
	switch left := review.Sub(p.now); {
	case left <= 0:
		return failed("sign a new version: interlock root sign", "version %d was to be reviewed by %s; devices only tighten now", root.Version, review.Format(time.DateOnly))
	case left < 30*24*time.Hour:
		return warning("sign a new version: interlock root sign", "version %d is to be reviewed by %s", root.Version, review.Format(time.DateOnly))
	case p.status != nil && p.status.RootHash != trust.Hash():
		return failed("interlock root show --server", "the server's is another one (version %d, %s)", p.status.RootVersion, short(p.status.RootHash))
	}
	return pass("version %d, %s, sha256 %s, review by %s", root.Version, root.Mode, short(trust.Hash()), review.Format(time.DateOnly))
}

func (p *patient) recoveryKeys() finding {
	here, err := ceremony.RecoveryKeysPresent(p.keys)
	switch {
	case err != nil:
		return failed("look at the folder yourself", "%v", err)
	case len(here) > 0:
		return warning("move each to another place off this machine and delete it here", "%d still lie in %s: %s", len(here), filepath.Join(p.keys, "recovery"), strings.Join(here, ", "))
	}
	if _, err := ceremony.LoadRoot(p.keys); err != nil {
		return skipped("name your directory with --keys", "no trust root in %s, so nobody knows where its recovery keys are", p.keys)
	}
	return pass("none in %s", p.keys)
}

// apart checks that who takes one directory does not have the other.
func (p *patient) apart() finding {
	data, err := filepath.EvalSymlinks(p.data)
	if err != nil {
		return skipped("interlock up", "no data directory: %v", err)
	}
	keys, err := filepath.EvalSymlinks(p.keys)
	if err != nil {
		return skipped("interlock up", "no key directory: %v", err)
	}
	if within(data, keys) || within(keys, data) {
		return failed("move the key directory and name it with --keys", "%s and %s lie one in the other: a backup of the server would take persons' keys along", keys, data)
	}
	return pass("%s is not in %s", keys, data)
}

func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

func (p *patient) server() finding {
	switch {
	case core.KindOf(p.statusErr) == core.KindUnavailable:
		return skipped(hintOr(p.statusErr, "interlock up"), "%v", p.statusErr)
	case p.statusErr != nil:
		return failed(hintOr(p.statusErr, "interlock status"), "%v", p.statusErr)
	case p.status.Health != core.HealthHealthy:
		return failed("interlock status", "%s%s", p.status.Health, unwell(p.status.Parts))
	}
	return pass("healthy at %s", app.Paths{Dir: p.data}.API())
}

func (p *patient) auditLog() finding {
	if p.status == nil {
		return skipped("start the server", "the server did not answer")
	}
	if l := p.status.Audit; l.Mode != "normal" {
		return failed("interlock audit verify", "%s%s", l.Mode, because(l.Reason))
	}
	return pass("%d entries, normal; interlock audit verify recomputes them", p.status.Audit.Size)
}

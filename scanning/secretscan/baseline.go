package secretscan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/internal/untrusted"
)

// Baseline is leaks that are known: those of an earlier report. It holds fingerprints
// and what names them for people, and no secret.
type Baseline struct {
	Version int     `json:"version"`
	Leaks   []Known `json:"leaks"`
	has     map[string]bool
}

// Known is one leak of a baseline.
type Known struct {
	Fingerprint string `json:"fingerprint"`
	Rule        string `json:"rule"`
	File        string `json:"file"`
}

const (
	baselineVersion = 1
	maxBaseline     = 64 << 20
)

// Has reports whether a leak is known. A nil baseline knows none.
func (b *Baseline) Has(fingerprint string) bool { return b != nil && b.has[fingerprint] }

// ReadBaseline reads a baseline file.
func ReadBaseline(path string) (*Baseline, error) {
	text, err := untrusted.File(path, maxBaseline)
	if err != nil {
		return nil, err
	}
	return parseBaseline(path, text)
}

func parseBaseline(path string, text []byte) (*Baseline, error) {
	b := new(Baseline)
	err := json.Unmarshal(text, b)
	if err == nil && b.Version != baselineVersion {
		err = fmt.Errorf("its version is %d", b.Version)
	}
	if err != nil {
		return nil, core.E(core.KindInvalid, "secretscan.ReadBaseline", fmt.Sprintf("%s is no baseline: %v", path, err)).WithHint("make one with --write-baseline")
	}
	b.has = make(map[string]bool, len(b.Leaks))
	for _, k := range b.Leaks {
		b.has[k.Fingerprint] = true
	}
	return b, nil
}

// WriteBaseline writes what a report found as a baseline. known, which may be nil, is
// the baseline that the scan was made with: what it holds stays.
func WriteBaseline(path string, known *Baseline, report *scanning.Report) error {
	b := &Baseline{Version: baselineVersion, Leaks: []Known{}}
	if known != nil {
		b.Leaks = slices.Clone(known.Leaks)
	}
	for i := range report.Findings {
		f := &report.Findings[i]
		b.Leaks = append(b.Leaks, Known{f.Fingerprint, f.Rule, f.Location.File})
	}
	slices.SortFunc(b.Leaks, func(x, y Known) int {
		return strings.Compare(x.File+"\x00"+x.Fingerprint, y.File+"\x00"+y.Fingerprint)
	})
	b.Leaks = slices.CompactFunc(b.Leaks, func(x, y Known) bool { return x.Fingerprint == y.Fingerprint })
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return core.Wrap(core.KindInternal, "secretscan.WriteBaseline", err)
	}
	return atomicfile.WriteFile(path, append(text, '\n'), 0o600)
}

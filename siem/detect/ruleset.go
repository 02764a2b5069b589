package detect

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/alert"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/rules"
	"github.com/interlock-security/interlock/siem/sigma"
)

// Ruleset is a compiled set of rule files. It does not change.
type Ruleset struct {
	// Hash names the set: the same files give the same hash.
	Hash   string
	Files  []rules.File
	Engine *sigma.Engine

	corrs map[string]*sigma.Correlation
	byID  map[string]*sigma.Rule
}

// captured is what every match carries, for grouping alerts.
var captured = []string{"sensor", "point"}

// NewRuleset reads and compiles rule files. The error names file, line and
// column of the first thing that is wrong.
func NewRuleset(files []rules.File) (*Ruleset, error) {
	var all []*sigma.Rule
	for _, f := range files {
		rs, err := sigma.Parse(f.Name, []byte(f.Text))
		if err != nil {
			return nil, fmt.Errorf("detect.NewRuleset: %w", err)
		}
		all = append(all, rs...)
	}
	engine, err := sigma.Compile(all, sigma.Options{Aliases: normalise.Aliases, Capture: captured})
	if err != nil {
		return nil, fmt.Errorf("detect.NewRuleset: %w", err)
	}
	body, err := encodeFiles(files)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	r := &Ruleset{Hash: hex.EncodeToString(sum[:]), Files: files, Engine: engine, corrs: make(map[string]*sigma.Correlation), byID: make(map[string]*sigma.Rule)}
	for _, rule := range all {
		r.byID[rule.ID] = rule
		if rule.Correlation != nil {
			r.corrs[windowName(rule.Correlation)] = rule.Correlation
		}
	}
	return r, nil
}

// windowName names what a correlation's windows are of. A rule that groups or
// counts by something else from now on begins with new windows; one whose
// threshold or timespan changes goes on with those it has.
func windowName(c *sigma.Correlation) string {
	shape := strings.Join(append([]string{string(c.Kind), c.Field}, c.GroupBy...), "\x00")
	sum := sha256.Sum256([]byte(shape))
	return c.Rule.ID + "/" + hex.EncodeToString(sum[:4])
}

// ruleFiles is the record that carries a rule set.
type ruleFiles struct {
	V     int          `json:"v"` // 1
	Files []rules.File `json:"files"`
}

func encodeFiles(files []rules.File) ([]byte, error) {
	b, err := json.Marshal(ruleFiles{1, files})
	return b, core.Wrap(core.KindInternal, "detect.encodeFiles", err)
}

func decodeFiles(b []byte) (*Ruleset, error) {
	var r ruleFiles
	if err := json.Unmarshal(b, &r); err != nil || r.V != 1 {
		return nil, core.E(core.KindDamaged, "detect.decodeFiles", "the record holds no rule set of version 1")
	}
	return NewRuleset(r.Files)
}

// severities maps Sigma's levels to the one scale.
var severities = map[sigma.Level]core.Severity{
	sigma.LevelInformational: core.SeverityInfo, sigma.LevelLow: core.SeverityLow, sigma.LevelMedium: core.SeverityMedium,
	sigma.LevelHigh: core.SeverityHigh, sigma.LevelCritical: core.SeverityCritical,
}

// ruleOf is what an alert says of its rule.
func ruleOf(r *sigma.Rule) alert.Rule {
	name := r.Name
	if name == "" {
		name = r.ID
	}
	return alert.Rule{
		Name: name, ID: r.ID, Title: r.Title, Author: r.Author, License: r.License,
		Tags: r.Tags, References: r.References, FalsePos: r.FalsePos,
	}
}

package detect

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// ruleFiles is the record that carries a rule set. On its way it is compressed:
// a few thousand rules would otherwise not fit into one frame.
type ruleFiles struct {
	V     int          `json:"v"` // 1
	Files []rules.File `json:"files"`
}

// maxRuleFiles bounds a rule set, in bytes of JSON.
const maxRuleFiles = 64 << 20

func encodeFiles(files []rules.File) ([]byte, error) {
	b, err := json.Marshal(ruleFiles{1, files})
	if err == nil && len(b) > maxRuleFiles {
		return nil, core.E(core.KindTooLarge, "detect.encodeFiles", fmt.Sprintf("the rules have %d bytes, at most %d are allowed", len(b), maxRuleFiles))
	}
	return b, core.Wrap(core.KindInternal, "detect.encodeFiles", err)
}

// packed is the set as a record and as a row.
func (r *Ruleset) packed() ([]byte, error) {
	b, err := encodeFiles(r.Files)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err = w.Write(b)
	err = errors.Join(err, w.Close())
	return out.Bytes(), core.Wrap(core.KindInternal, "detect.packed", err)
}

// decodeFiles reads a packed rule set.
func decodeFiles(packed []byte) (*Ruleset, error) {
	const op = "detect.decodeFiles"
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, core.Wrap(core.KindDamaged, op, err)
	}
	b, err := io.ReadAll(io.LimitReader(z, maxRuleFiles+1))
	if err != nil || len(b) > maxRuleFiles {
		return nil, core.E(core.KindDamaged, op, "the record does not unpack to a rule set")
	}
	var r ruleFiles
	if err := json.Unmarshal(b, &r); err != nil || r.V != 1 {
		return nil, core.E(core.KindDamaged, op, "the record holds no rule set of version 1")
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

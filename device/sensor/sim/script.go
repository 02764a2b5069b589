package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
)

// Step is one line of a script: one JSON object.
//
//	{"do":"level","point":"lid","active":true,"type":"case_opened","clear":"case_closed","severity":"critical"}
//	{"do":"pulse","point":"mesh","type":"mesh_cut","alarm":true,"severity":"critical"}
//	{"do":"flap","point":"lid","type":"case_opened","clear":"case_closed","times":100,"ms":1}
//	{"do":"wait","ms":250}
//	{"do":"beat"}  {"do":"silence"}  {"do":"frozen"}  {"do":"error","why":"bus gone"}  {"do":"panic","why":"index"}  {"do":"end"}
type Step struct {
	Do       string        `json:"do"`
	Point    string        `json:"point,omitempty"`
	Type     string        `json:"type,omitempty"`
	Clear    string        `json:"clear,omitempty"`
	Active   bool          `json:"active,omitempty"`
	Alarm    bool          `json:"alarm,omitempty"`
	Severity core.Severity `json:"severity,omitempty"`
	Times    int           `json:"times,omitempty"`
	MS       int64         `json:"ms,omitempty"`
	Why      string        `json:"why,omitempty"`
}

// Limits of a script: it is an operator's file, but a file all the same.
const (
	maxLine  = 4 << 10
	maxSteps = 100_000
	maxTimes = 100_000
	maxWait  = 24 * time.Hour
)

var verbs = []string{"level", "pulse", "flap", "wait", "beat", "silence", "frozen", "error", "panic", "end"}

// ParseStep reads one line.
func ParseStep(line []byte) (Step, error) {
	if len(line) > maxLine {
		return Step{}, core.E(core.KindTooLarge, "sim.ParseStep", fmt.Sprintf("line of %d bytes, at most %d are read", len(line), maxLine))
	}
	var s Step
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return Step{}, core.Wrap(core.KindInvalid, "sim.ParseStep", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Step{}, core.E(core.KindInvalid, "sim.ParseStep", "something follows the object on this line")
	}
	return s, s.validate()
}

func (s *Step) validate() error {
	if s.Severity == "" {
		s.Severity = core.SeverityHigh
	}
	named := s.Do == "level" || s.Do == "pulse" || s.Do == "flap"
	switch {
	case !slices.Contains(verbs, s.Do):
		return core.E(core.KindInvalid, "sim.ParseStep", fmt.Sprintf("%.40q is nothing to do; known are %v", s.Do, verbs))
	case named && (s.Point == "" || s.Type == ""):
		return core.E(core.KindInvalid, "sim.ParseStep", s.Do+" needs a point and a type")
	case named && s.Do != "pulse" && s.Clear == "":
		return core.E(core.KindInvalid, "sim.ParseStep", s.Do+" needs a clear type, the word for the way back")
	case s.Times < 0 || s.Times > maxTimes:
		return core.E(core.KindInvalid, "sim.ParseStep", fmt.Sprintf("times is %d, allowed are 0 to %d", s.Times, maxTimes))
	case s.MS < 0 || s.MS > maxWait.Milliseconds():
		return core.E(core.KindInvalid, "sim.ParseStep", fmt.Sprintf("ms is %d, allowed are 0 to %d", s.MS, maxWait.Milliseconds()))
	}
	return nil
}

// ParseScript reads a script: one step a line, blank lines and lines that begin
// with # are skipped. The error names the line.
func ParseScript(script []byte) ([]Step, error) {
	var steps []Step
	for i, line := range strings.Split(string(script), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		s, err := ParseStep([]byte(line))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if steps = append(steps, s); len(steps) > maxSteps {
			return nil, core.E(core.KindTooLarge, "sim.ParseScript", fmt.Sprintf("more than %d steps", maxSteps))
		}
	}
	return steps, nil
}

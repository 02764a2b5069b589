package priority

import (
	"fmt"
	"math"
	"strings"

	cvss20 "github.com/pandatix/go-cvss/20"
	cvss30 "github.com/pandatix/go-cvss/30"
	cvss31 "github.com/pandatix/go-cvss/31"
	cvss40 "github.com/pandatix/go-cvss/40"

	"github.com/interlock-security/interlock/core"
)

// maxVector bounds what is handed to a parser; the longest CVSS 4.0 vector with
// every metric is below 200 bytes.
const maxVector = 512

// CVSS is a vector that was understood.
type CVSS struct {
	Vector string
	// Version is "2.0", "3.0", "3.1" or "4.0".
	Version string
	Score   float64
	metric  func(string) string
}

// ParseCVSS reads a vector of any version. What is malformed is an error that
// names the vector.
func ParseCVSS(vector string) (CVSS, error) {
	if len(vector) > maxVector {
		return CVSS{}, core.E(core.KindInvalid, "priority.ParseCVSS", fmt.Sprintf("the vector %.40q... is longer than any CVSS vector", vector))
	}
	c, err := parse(strings.TrimSpace(vector))
	if err != nil {
		return CVSS{}, core.E(core.KindInvalid, "priority.ParseCVSS", fmt.Sprintf("%.200q is not a CVSS vector: %v", vector, err))
	}
	return c, nil
}

func parse(vector string) (CVSS, error) {
	switch {
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		v, err := cvss40.ParseVector(vector)
		if err != nil {
			return CVSS{}, err
		}
		return CVSS{vector, "4.0", v.Score(), getter(v.Get)}, nil
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		v, err := cvss31.ParseVector(vector)
		if err != nil {
			return CVSS{}, err
		}
		return CVSS{vector, "3.1", v.BaseScore(), getter(v.Get)}, nil
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		v, err := cvss30.ParseVector(vector)
		if err != nil {
			return CVSS{}, err
		}
		return CVSS{vector, "3.0", v.BaseScore(), getter(v.Get)}, nil
	}
	v, err := cvss20.ParseVector(strings.Trim(vector, "()"))
	if err != nil {
		return CVSS{}, err
	}
	return CVSS{vector, "2.0", v.BaseScore(), getter(v.Get)}, nil
}

// getter turns a metric that a version doesn't have into "".
func getter(get func(string) (string, error)) func(string) string {
	return func(abv string) string {
		s, err := get(abv)
		if err != nil {
			return ""
		}
		return s
	}
}

// Severity is the qualitative rating of the score.
func (c CVSS) Severity() core.Severity { return severityOf(c.Score) }

// severityOf is the rating scale of CVSS 3 and 4; version 2 had a coarser one,
// and its scores are read on the same scale so that findings can be compared.
func severityOf(score float64) core.Severity {
	switch {
	case math.IsNaN(score) || score <= 0:
		return core.SeverityInfo
	case score < 4:
		return core.SeverityLow
	case score < 7:
		return core.SeverityMedium
	case score < 9:
		return core.SeverityHigh
	}
	return core.SeverityCritical
}

// automatable follows SSVC's advice for CVSS: steps 1 to 4 of the kill chain
// can be automated when the attack comes over the network, is not complex, and
// needs neither privileges nor a person. CVSS 4.0 may say so itself.
func (c CVSS) automatable() Automatable {
	switch c.metric("AU") {
	case "Y":
		return AutomatableYes
	case "N":
		return AutomatableNo
	}
	easy := c.metric("AV") == "N" && c.metric("AC") == "L"
	if c.Version == "2.0" {
		easy = easy && c.metric("Au") == "N"
	} else {
		easy = easy && c.metric("PR") == "N" && c.metric("UI") == "N"
	}
	if at := c.metric("AT"); at != "" && at != "N" {
		easy = false
	}
	if easy {
		return AutomatableYes
	}
	return AutomatableNo
}

// impact follows SSVC's table from privileges, confidentiality and integrity to
// technical impact (its cvssv4_to_technical_impact), which versions 2 and 3 can
// be asked as well.
func (c CVSS) impact() Impact {
	conf, integ, priv := level(c.metric("VC"), c.metric("C")), level(c.metric("VI"), c.metric("I")), c.metric("PR")
	switch {
	case conf == 2 && integ == 2:
		return ImpactTotal
	case priv != "H" && priv != "L" && conf+integ == 3 && c.Version != "2.0":
		return ImpactTotal
	}
	return ImpactPartial
}

// level is 0 for none, 1 for low or partial, 2 for high or complete.
func level(words ...string) int {
	for _, w := range words {
		switch w {
		case "H", "C":
			return 2
		case "L", "P":
			return 1
		case "N":
			return 0
		}
	}
	return 0
}

package provenance

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning/internal/untrusted"
)

const (
	maxPolicy = 1 << 20
	opFile    = "provenance.File"
)

// policyFile is how operators write a policy. Names of files are relative to it.
type policyFile struct {
	Minisign []string `yaml:"minisign"` // public keys, or files with one
	Keys     []string `yaml:"keys"`     // files, PEM
	Sigstore struct {
		TrustedRoot               string `yaml:"trusted_root"`
		NoCertificateTransparency bool   `yaml:"no_certificate_transparency"`
		Identities                []struct {
			Issuer  string `yaml:"issuer"`
			Name    string `yaml:"name"`
			Pattern string `yaml:"pattern"`
		} `yaml:"identities"`
	} `yaml:"sigstore"`
	Provenance struct {
		Required bool     `yaml:"required"`
		Builders []string `yaml:"builders"`
		Sources  []struct {
			Repository string `yaml:"repository"`
			Ref        string `yaml:"ref"`
		} `yaml:"sources"`
	} `yaml:"provenance"`
}

// ReadPolicy reads an operator's policy file. A word that it doesn't know is an
// error: a misspelled demand must not be none.
func ReadPolicy(path string) (Policy, error) {
	b, err := untrusted.File(path, maxPolicy)
	if err != nil {
		return Policy{}, err
	}
	var f policyFile
	if err := yaml.NewDecoder(bytes.NewReader(b), yaml.DisallowUnknownField()).Decode(&f); err != nil {
		return Policy{}, core.E(core.KindInvalid, opFile, fmt.Sprintf("the policy %s: %v", filepath.Base(path), yaml.FormatError(err, false, false))).
			WithHint("docs/howto/verify-provenance.md shows a whole policy")
	}
	return f.policy(filepath.Dir(path))
}

func (f *policyFile) policy(dir string) (Policy, error) {
	p := Policy{
		NoCertificateTransparency: f.Sigstore.NoCertificateTransparency,
		RequireProvenance:         f.Provenance.Required, Builders: f.Provenance.Builders,
	}
	for _, i := range f.Sigstore.Identities {
		p.Identities = append(p.Identities, Identity{Issuer: i.Issuer, Name: i.Name, Pattern: i.Pattern})
	}
	for _, s := range f.Provenance.Sources {
		p.Sources = append(p.Sources, Source{Repository: s.Repository, Ref: s.Ref})
	}
	for _, k := range f.Minisign {
		if !strings.HasPrefix(k, "RW") {
			b, err := untrusted.File(filepath.Join(dir, k), maxPolicy)
			if err != nil {
				return p, err
			}
			k = string(b)
		}
		p.MinisignKeys = append(p.MinisignKeys, k)
	}
	for _, name := range f.Keys {
		b, err := untrusted.File(filepath.Join(dir, name), maxPolicy)
		if err != nil {
			return p, err
		}
		keys, err := ParseKeys(b)
		if err != nil {
			return p, err
		}
		p.Keys = append(p.Keys, keys...)
	}
	if f.Sigstore.TrustedRoot == "" {
		return p, nil
	}
	var err error
	p.TrustedRoot, err = untrusted.File(filepath.Join(dir, f.Sigstore.TrustedRoot), maxEvidenceSize)
	return p, err
}

// beside are the endings under which evidence lies next to an artifact.
var beside = []string{".minisig", ".sigstore.json", ".sigstore", ".bundle", ".intoto.jsonl", ".intoto.json", ".att.json", ".dsse.json"}

// File is an artifact in a file with the evidence given, or else with what lies
// beside it under the usual names.
func File(path string, evidence ...string) (Artifact, error) {
	a := Artifact{Name: filepath.Base(path), Open: func() (io.ReadCloser, error) { return os.Open(path) }}
	if info, err := os.Stat(path); err != nil {
		return a, core.Wrap(core.KindNotFound, opFile, err)
	} else if !info.Mode().IsRegular() {
		return a, core.E(core.KindInvalid, opFile, path+" is not a regular file")
	}
	if len(evidence) == 0 {
		for _, ending := range beside {
			if _, err := os.Stat(path + ending); err == nil {
				evidence = append(evidence, path+ending)
			}
		}
	}
	for _, e := range evidence {
		b, err := untrusted.File(e, maxEvidenceSize)
		if err != nil {
			return a, err
		}
		a.Evidence = append(a.Evidence, Evidence{Name: filepath.Base(e), Data: b})
	}
	return a, nil
}

package provenance

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
)

// The predicates that are understood.
const (
	predicateSLSA02 = "https://slsa.dev/provenance/v0.2"
	predicateSLSA1  = "https://slsa.dev/provenance/v1"
)

const maxSubjects = 1024

// Statement is what somebody attests.
type Statement struct {
	Predicate string `json:"predicate"`
	// Builder, Repository, Ref and Commit are SLSA provenance's.
	Builder    string `json:"builder,omitempty"`
	Repository string `json:"repository,omitempty"`
	Ref        string `json:"ref,omitempty"`
	Commit     string `json:"commit,omitempty"`
}

type inToto struct {
	Type    string `json:"_type"`
	Subject []struct {
		Name   string            `json:"name"`
		Digest map[string]string `json:"digest"`
	} `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

// statement holds a payload whose signature is right against the artifact and
// the policy, and says so in the check.
func (v *verifier) statement(c *Check, payloadType string, payload []byte) {
	if payloadType != "application/vnd.in-toto+json" {
		c.Why = fmt.Sprintf("it is signed by %s, but as %.80q, which doesn't say what it is of", c.Signer, payloadType)
		return
	}
	var s inToto
	if err := json.Unmarshal(payload, &s); err != nil || !strings.HasPrefix(s.Type, "https://in-toto.io/Statement/") {
		c.State, c.Why = Failed, "what is signed is no in-toto statement"
		return
	}
	if !v.isSubject(&s) {
		c.State, c.Why = Failed, "the statement is of something else: none of its subjects has the artifact's digest"
		return
	}
	c.Statement = &Statement{Predicate: s.PredicateType}
	if err := c.Statement.read(s.Predicate); err != nil {
		c.Why = err.Error()
		return
	}
	if c.Statement.Builder == "" && c.Statement.Repository == "" {
		c.Why = fmt.Sprintf("it is signed by %s and of this artifact, but its predicate %.100q is not one that is understood", c.Signer, s.PredicateType)
		return
	}
	if why := v.policy.refuse(c.Statement); why != "" {
		c.State, c.Why = Failed, why
		return
	}
	c.State, c.Why = Verified, fmt.Sprintf("built by %s from %s %s, signed by %s", c.Statement.Builder, c.Statement.Repository, c.Statement.Ref, c.Signer)
}

// isSubject looks for the artifact by any strong digest. Where a subject has
// several, one that contradicts is enough to refuse it.
func (v *verifier) isSubject(s *inToto) bool {
	for i, sub := range s.Subject {
		if i == maxSubjects {
			return false
		}
		match := false
		for alg, d := range sub.Digest {
			have, known := v.digests[alg]
			if known && have != strings.ToLower(d) {
				match = false
				break
			}
			match = match || known
		}
		if match {
			return true
		}
	}
	return false
}

// read takes builder and source out of SLSA provenance; of other predicates
// nothing.
func (s *Statement) read(predicate []byte) error {
	var err error
	switch s.Predicate {
	case predicateSLSA02:
		err = s.readV02(predicate)
	case predicateSLSA1, predicateSLSA1 + ".0", predicateSLSA1 + ".1":
		err = s.readV1(predicate)
	}
	if err != nil {
		return fmt.Errorf("its predicate is malformed: %w", err)
	}
	return nil
}

type resource struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"`
}

func (s *Statement) readV02(b []byte) error {
	var p struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
		Invocation struct {
			ConfigSource resource `json:"configSource"`
		} `json:"invocation"`
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return err
	}
	s.Builder = p.Builder.ID
	s.from(p.Invocation.ConfigSource)
	return nil
}

func (s *Statement) readV1(b []byte) error {
	var p struct {
		Definition struct {
			External struct {
				Workflow struct {
					Ref        string `json:"ref"`
					Repository string `json:"repository"`
				} `json:"workflow"`
				Source json.RawMessage `json:"source"`
			} `json:"externalParameters"`
			Dependencies []resource `json:"resolvedDependencies"`
		} `json:"buildDefinition"`
		Run struct {
			Builder struct {
				ID string `json:"id"`
			} `json:"builder"`
		} `json:"runDetails"`
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return err
	}
	s.Builder = p.Run.Builder.ID
	for _, r := range append(parameterSource(p.Definition.External.Source), p.Definition.Dependencies...) {
		if strings.HasPrefix(r.URI, "git+") || strings.HasPrefix(r.URI, "https://") {
			s.from(r)
			break
		}
	}
	if w := p.Definition.External.Workflow; w.Repository != "" {
		if s.Repository != repository(w.Repository) {
			s.Commit = "" // the commit is of another repository
		}
		s.Repository, s.Ref = repository(w.Repository), w.Ref
	}
	return nil
}

// parameterSource reads what builders outside of GitHub write: a URI, or a
// resource.
func parameterSource(raw json.RawMessage) []resource {
	var r resource
	if json.Unmarshal(raw, &r.URI) == nil || json.Unmarshal(raw, &r) == nil && r.URI != "" {
		return []resource{r}
	}
	return nil
}

// from splits git+https://host/owner/name@refs/heads/main.
func (s *Statement) from(r resource) {
	uri, ref, _ := strings.Cut(strings.TrimPrefix(r.URI, "git+"), "@")
	s.Repository, s.Ref = repository(uri), ref
	for _, alg := range slices.Sorted(maps.Keys(r.Digest)) {
		if alg == "sha1" || alg == "gitCommit" {
			s.Commit = r.Digest[alg]
		}
	}
}

// repository is an address in one form: no credentials, no ".git", no trailing
// slash, the host in small letters.
func repository(s string) string {
	u, err := url.Parse(strings.TrimPrefix(s, "git+"))
	if err != nil || u.Host == "" {
		return ""
	}
	p := strings.TrimSuffix(path.Clean("/"+u.Path), ".git")
	return "https://" + strings.ToLower(u.Host) + strings.TrimSuffix(p, "/")
}

// refuse says why provenance is not what the policy asks for, "" if it is.
func (p *Policy) refuse(s *Statement) string {
	if len(p.Builders) > 0 && !slices.ContainsFunc(p.Builders, func(b string) bool { return matchBuilder(b, s.Builder) }) {
		return fmt.Sprintf("it was built by %.200q, which the policy doesn't name", s.Builder)
	}
	if len(p.Sources) > 0 && !slices.ContainsFunc(p.Sources, func(src Source) bool { return matchSource(src, s) }) {
		return fmt.Sprintf("it was built from %.200q at %.100q, which the policy doesn't name", s.Repository, s.Ref)
	}
	return ""
}

func matchBuilder(want, have string) bool {
	if prefix, ok := strings.CutSuffix(want, "@*"); ok {
		id, version, _ := strings.Cut(have, "@")
		return id == prefix && version != ""
	}
	return want == have
}

func matchSource(want Source, s *Statement) bool {
	if repository(want.Repository) != s.Repository {
		return false
	}
	if prefix, ok := strings.CutSuffix(want.Ref, "*"); ok {
		return strings.HasPrefix(s.Ref, prefix)
	}
	return want.Ref == "" || want.Ref == s.Ref
}

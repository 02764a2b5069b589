package provenance

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

const (
	issuer = "https://issuer.example"
	anna   = "anna@acme.example"
)

// virtual is a Sigstore of the test's own: certificate authority, log, time stamps.
func virtual(t *testing.T) *ca.VirtualSigstore {
	t.Helper()
	s, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// hold checks an entity under a policy that trusts anna, with the artifact's
// content.
func hold(t *testing.T, s *ca.VirtualSigstore, e verify.SignedEntity, body []byte, p Policy) Check {
	t.Helper()
	if len(p.Identities) == 0 {
		p.Identities = []Identity{{Issuer: issuer, Name: anna}}
	}
	p.NoCertificateTransparency = true // the test's authority runs no CT log
	policy, err := sigstoreWith(s, &p)
	if err != nil {
		t.Fatal(err)
	}
	a := artifact(body)
	v := &verifier{artifact: &a, policy: &p, sigstore: policy}
	if err := v.digest(context.Background()); err != nil {
		t.Fatal(err)
	}
	c := Check{Kind: "sigstore", Evidence: "e"}
	v.entity(&c, e)
	return c
}

func mustBe(t *testing.T, name string, c Check, want State, why string) {
	t.Helper()
	if c.State != want || !strings.Contains(c.Why, why) {
		t.Errorf("%s: %s: %s", name, c.State, c.Why)
	}
}

func TestSigstoreSignatures(t *testing.T) {
	s := virtual(t)
	signed, err := s.Sign(anna, issuer, content)
	if err != nil {
		t.Fatal(err)
	}
	mustBe(t, "signed", hold(t, s, signed, content, Policy{}), Verified, "signed by "+anna)
	mustBe(t, "another artifact", hold(t, s, signed, []byte("other"), Policy{}), Failed, "digest")
	mustBe(t, "another name", hold(t, s, signed, content, Policy{Identities: []Identity{{Issuer: issuer, Name: "bob@acme.example"}}}), Failed, "identity")
	mustBe(t, "another issuer", hold(t, s, signed, content, Policy{Identities: []Identity{{Issuer: "https://other.example", Name: anna}}}), Failed, "identity")
	mustBe(t, "a pattern", hold(t, s, signed, content, Policy{Identities: []Identity{{Issuer: issuer, Pattern: `[a-z]+@acme\.example`}}}), Verified, "")
	mustBe(t, "a pattern of a part", hold(t, s, signed, content, Policy{Identities: []Identity{{Issuer: issuer, Pattern: `anna`}}}), Failed, "identity")
	mustBe(t, "another Sigstore", hold(t, virtual(t), signed, content, Policy{}), Failed, "")
	late, err := s.SignAtTime(anna, issuer, content, time.Now().Add(30*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	mustBe(t, "a certificate that had expired", hold(t, s, late, content, Policy{}), Failed, "certificate")
	mustBe(t, "without a log entry", hold(t, s, changed{SignedEntity: signed, noLog: true}, content, Policy{}), Failed, "log")
	mustBe(t, "a tampered signature", hold(t, s, changed{SignedEntity: signed, sig: []byte("MEUCIQ")}, content, Policy{}), Failed, "")
	v := &verifier{policy: &Policy{}}
	c := Check{}
	v.entity(&c, signed)
	mustBe(t, "without a policy", c, NotVerified, "neither")
}

// changed is an entity that somebody changed on the way.
type changed struct {
	verify.SignedEntity
	noLog bool
	sig   []byte
}

func (c changed) TlogEntries() ([]*tlog.Entry, error) {
	if c.noLog {
		return nil, nil
	}
	return c.SignedEntity.TlogEntries()
}

func (c changed) SignatureContent() (verify.SignatureContent, error) {
	s, err := c.SignedEntity.SignatureContent()
	if err != nil || c.sig == nil {
		return s, err
	}
	m := s.MessageSignatureContent()
	return bundle.NewMessageSignature(m.Digest(), m.DigestAlgorithm(), c.sig), nil
}

func TestSigstoreAttestations(t *testing.T) {
	s := virtual(t)
	attest := func(predicateType string, predicate any) verify.SignedEntity {
		t.Helper()
		e, err := s.Attest(anna, issuer, statementOf(predicateType, predicate, nil))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	good := attest(predicateSLSA1, slsa1)
	mustBe(t, "provenance", hold(t, s, good, content, Policy{Builders: []string{"https://builder.example/b@v1"}}), Verified, "built by")
	mustBe(t, "another builder", hold(t, s, good, content, Policy{Builders: []string{"https://builder.example/c"}}), Failed, "doesn't name")
	mustBe(t, "another artifact", hold(t, s, good, []byte("other"), Policy{}), Failed, "digest")
	mustBe(t, "another name", hold(t, s, good, content, Policy{Identities: []Identity{{Issuer: issuer, Name: "bob@acme.example"}}}), Failed, "identity")
	mustBe(t, "without a log entry", hold(t, s, changed{SignedEntity: good, noLog: true}, content, Policy{}), Failed, "log")
	mustBe(t, "an unknown predicate", hold(t, s, attest("https://cyclonedx.org/bom", map[string]any{}), content, Policy{}), NotVerified, "not one that is understood")
}

// realFile reads what Sigstore's public instance really wrote: it comes with the
// library's module.
func realFile(t testing.TB, name string) []byte {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/sigstore/sigstore-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "pkg", "testing", "data", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The provenance of a real release, from its file, under the real root, with the
// certificate's own log; no network, years later.
func TestARealReleaseOfThePublicInstance(t *testing.T) {
	release := realFile(t, "bundles/sigstore.js@2.0.0-provenance.sigstore.json")
	workflow := "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main"
	github := "https://token.actions.githubusercontent.com"
	policy := Policy{
		TrustedRoot: realFile(t, "trusted-roots/public-good.json"), Identities: []Identity{{Issuer: github, Name: workflow}},
		Builders: []string{"https://github.com/actions/runner/github-hosted"}, Sources: []Source{{"https://github.com/sigstore/sigstore-js", "refs/heads/main"}},
	}
	a := Artifact{
		Name:     "pkg:npm/sigstore@2.0.0",
		Digests:  map[string]string{"sha512": "46d4e2f74c4877316640000a6fdf8a8b59f1e0847667973e9859f774dd31b8f1e0937813b777fb66a2ac67d50540fe34640966eee9fc2ccca387082b4c85cd3c"},
		Evidence: []Evidence{{"bundle", release}},
	}
	r := mustVerify(t, "real", a, policy, Verified, "built by")
	if s := r.Checks[0].Statement; s.Commit != "f0b49a04e5a62250e0f60fb128004a73110fe311" || s.Repository != "https://github.com/sigstore/sigstore-js" {
		t.Errorf("%+v", s)
	}
	with := func(change func(*Policy)) Policy { p := policy; change(&p); return p }
	mustVerify(t, "another workflow", a, with(func(p *Policy) { p.Identities = []Identity{{Issuer: github, Name: workflow + "x"}} }), Failed, "identity")
	mustVerify(t, "another source", a, with(func(p *Policy) { p.Sources = []Source{{"https://github.com/sigstore/other", ""}} }), Failed, "doesn't name")
	mustVerify(t, "another root", a, with(func(p *Policy) { p.TrustedRoot = realFile(t, "trusted-roots/scaffolding.json") }), Failed, "")
	other := a
	other.Digests = map[string]string{"sha512": strings.Repeat("a", 128)}
	mustVerify(t, "another artifact", other, policy, Failed, "digest")
	for _, member := range []string{"inclusionPromise", "tlogEntries", "rootHash", "integratedTime", "canonicalizedBody", "payload", "sig"} {
		tampered := a
		tampered.Evidence = []Evidence{{"tampered", tamper(t, release, member)}}
		if r, err := Verify(context.Background(), tampered, policy); err != nil || r.State == Verified {
			t.Errorf("%s was tampered with, and it is %s", member, r.State)
		}
	}
}

// tamper changes a member wherever it stands, or takes it away.
func tamper(t *testing.T, doc []byte, member string) []byte {
	t.Helper()
	var v any
	if err := json.Unmarshal(doc, &v); err != nil {
		t.Fatal(err)
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, m := range v {
				if s, ok := m.(string); k == member && ok && len(s) > 8 {
					c := "A"
					if s[8] == 'A' {
						c = "B"
					}
					v[k] = s[:8] + c + s[9:]
				} else if k == member {
					delete(v, k)
				} else {
					walk(m)
				}
			}
		case []any:
			for _, m := range v {
				walk(m)
			}
		}
	}
	walk(v)
	out, err := json.Marshal(v)
	if err != nil || bytes.Equal(out, doc) {
		t.Fatal(err)
	}
	return out
}

func FuzzBundle(f *testing.F) {
	release := realFile(f, "bundles/sigstore.js@2.0.0-provenance.sigstore.json")
	f.Add(release)
	f.Add(realFile(f, "bundles/othername.sigstore.json"))
	policy := Policy{TrustedRoot: realFile(f, "trusted-roots/public-good.json"), Identities: []Identity{{Issuer: "https://nobody.example", Name: "nobody"}}}
	a := Artifact{Name: "a", Digests: map[string]string{"sha512": strings.Repeat("a", 128)}}
	f.Fuzz(func(t *testing.T, doc []byte) {
		b := a
		b.Evidence = []Evidence{{"e", doc}}
		if r, err := Verify(context.Background(), b, policy); err == nil && r.State == Verified {
			t.Fatalf("nobody signed it: %+v", r)
		}
	})
}

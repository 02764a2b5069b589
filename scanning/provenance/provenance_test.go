package provenance

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

var content = []byte("the artifact's bytes\n")

func artifact(body []byte, evidence ...[]byte) Artifact {
	a := Artifact{Name: "shop.tar.gz", Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }}
	for i, e := range evidence {
		a.Evidence = append(a.Evidence, Evidence{Name: fmt.Sprintf("e%d", i), Data: e})
	}
	return a
}

func mustVerify(t *testing.T, name string, a Artifact, p Policy, want State, why string) Result {
	t.Helper()
	r, err := Verify(context.Background(), a, p)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return r
	}
	if r.State != want || !strings.Contains(r.Why, why) {
		t.Errorf("%s: %s: %s", name, r.State, r.Why)
	}
	found := r.Findings()
	if (want == Verified) != (len(found) == 0) {
		t.Errorf("%s: findings %+v", name, found)
	}
	for _, f := range found {
		if f.Class != scanning.ClassProvenance || f.Fingerprint == "" || (want == Failed) != (f.Severity == core.SeverityCritical) {
			t.Errorf("%s: %+v", name, f)
		}
	}
	return r
}

func TestMinisign(t *testing.T) {
	pub, priv, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	legacy := minisign.SignWithComments(priv, content, "file:shop.tar.gz", "u")
	r := minisign.NewReader(bytes.NewReader(content))
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	prehashed := r.SignWithComments(priv, "file:shop.tar.gz", "u")
	trusted, untrusted := Policy{MinisignKeys: []string{other.String(), pub.String()}}, Policy{MinisignKeys: []string{other.String()}}
	for name, sig := range map[string][]byte{"legacy": legacy, "prehashed": prehashed} {
		got := mustVerify(t, name, artifact(content, sig), trusted, Verified, "minisign key")
		if got.Checks[0].Comment != "file:shop.tar.gz" {
			t.Errorf("%s: %+v", name, got.Checks)
		}
		mustVerify(t, name+" of other bytes", artifact([]byte("other"), sig), trusted, Failed, "does not fit")
		mustVerify(t, name+" with another comment", artifact(content, bytes.Replace(sig, []byte("shop"), []byte("till"), 1)), trusted, Failed, "does not fit")
		mustVerify(t, name+" by another key", artifact(content, sig), untrusted, NotVerified, "not trusted here")
		mustVerify(t, name+" without any key", artifact(content, sig), Policy{}, NotVerified, "not trusted here")
		mustVerify(t, name+" and a broken one", artifact(content, sig, bytes.Replace(sig, []byte("shop"), []byte("till"), 1)), trusted, Failed, "does not fit")
		mustVerify(t, name+" without provenance", artifact(content, sig), Policy{MinisignKeys: trusted.MinisignKeys, RequireProvenance: true}, NotVerified, "nothing that counts says how it was built")
	}
	// The digest of an artifact, signed the legacy way as bytes of its own, is no
	// signature of the artifact.
	confused := minisign.SignWithComments(priv, mustPrehash(t), "c", "u")
	mustVerify(t, "a legacy signature of the hash", artifact(content, confused), trusted, Failed, "does not fit")
}

func mustPrehash(t *testing.T) []byte {
	t.Helper()
	d := sha256.Sum256(content)
	return d[:]
}

func TestNothingSpeaksForIt(t *testing.T) {
	mustVerify(t, "no evidence", artifact(content), Policy{}, NotVerified, "nothing speaks for it")
	for name, e := range map[string]string{
		"empty": "", "text": "hello", "JSON": "{}", "list": "[1]", "old cosign": `{"base64Signature":"x","rekorBundle":{"a":1}}`, "unsigned": `{"_type":"https://in-toto.io/Statement/v1"}`,
		"bundle": `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}`, "no signature": `{"payloadType":"a","payload":"","signatures":[]}`, "cut off": `{"payloadType":`, "deep": strings.Repeat(`{"a":`, 200),
		"half base64 signature": "untrusted comment: x\nRWQ=\n",
	} {
		r := mustVerify(t, name, artifact(content, []byte(e)), Policy{}, NotVerified, "")
		if len(r.Checks) == 0 || r.Checks[0].Why == "" {
			t.Errorf("%s: %+v", name, r.Checks)
		}
	}
}

func TestPoliciesThatTrustAnybodyAreRefused(t *testing.T) {
	issuer := "https://token.actions.githubusercontent.com"
	for name, p := range map[string]Policy{
		"identities without a root": {Identities: []Identity{{Issuer: issuer, Name: "a"}}},
		"a root without identities": {TrustedRoot: []byte("{}")},
		"a malformed root":          {TrustedRoot: []byte("{"), Identities: []Identity{{Issuer: issuer, Name: "a"}}},
		"a malformed key":           {MinisignKeys: []string{"RWx"}},
		"any builder":               {Builders: []string{"@*"}},
		"a source without a name":   {Sources: []Source{{Ref: "refs/heads/main"}}},
	} {
		if r, err := Verify(context.Background(), artifact(content), p); core.KindOf(err) != core.KindInvalid || r.State != NotVerified {
			t.Errorf("%s: %v %v", name, r.State, err)
		}
	}
	for name, id := range map[string]Identity{
		"no issuer": {Name: "a"}, "neither": {Issuer: issuer}, "both": {Issuer: issuer, Name: "a", Pattern: "a"}, "anybody": {Issuer: issuer, Pattern: ".*"},
		"anybody again": {Issuer: issuer, Pattern: "https://.*"}, "any mail": {Issuer: issuer, Pattern: ".*@.*"}, "malformed": {Issuer: issuer, Pattern: "("},
	} {
		if _, err := identity(id); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatCannotBeReadIsAnError(t *testing.T) {
	broken := Artifact{Open: func() (io.ReadCloser, error) { return nil, errors.New("gone") }}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	for name, run := range map[string]func() (Result, error){
		"nothing":    func() (Result, error) { return Verify(context.Background(), Artifact{}, Policy{}) },
		"unreadable": func() (Result, error) { return Verify(context.Background(), broken, Policy{}) },
		"stopped":    func() (Result, error) { return Verify(stopped, artifact(content), Policy{}) },
		"a weak digest": func() (Result, error) {
			return Verify(context.Background(), Artifact{Digests: map[string]string{"sha1": strings.Repeat("a", 40)}}, Policy{})
		},
		"too much evidence": func() (Result, error) {
			return Verify(context.Background(), artifact(content, make([][]byte, 65)...), Policy{})
		},
		"large evidence": func() (Result, error) {
			return Verify(context.Background(), artifact(content, make([]byte, 17<<20)), Policy{})
		},
	} {
		if r, err := run(); err == nil || r.State != NotVerified {
			t.Errorf("%s: %v %v", name, r.State, err)
		}
	}
}

func TestAnArtifactThatChangesMeanwhile(t *testing.T) {
	pub, priv, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	reads := 0
	a := artifact(content, minisign.SignWithComments(priv, content, "c", "u"))
	a.Open = func() (io.ReadCloser, error) {
		reads++
		if reads > 1 {
			return io.NopCloser(strings.NewReader("THE ARTIFACT'S BYTES\n")), nil
		}
		return io.NopCloser(bytes.NewReader(content)), nil
	}
	mustVerify(t, "changed", a, Policy{MinisignKeys: []string{pub.String()}}, NotVerified, "changed while")
}

// statementOf attests provenance of the content.
func statementOf(predicateType string, predicate any, change func(map[string]any)) []byte {
	d := sha256.Sum256(content)
	s := map[string]any{
		"_type": "https://in-toto.io/Statement/v1", "predicateType": predicateType, "predicate": predicate,
		"subject": []any{map[string]any{"name": "shop.tar.gz", "digest": map[string]string{"sha256": hex.EncodeToString(d[:])}}},
	}
	if change != nil {
		change(s)
	}
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return b
}

var (
	slsa1 = map[string]any{
		"buildDefinition": map[string]any{
			"externalParameters":   map[string]any{"workflow": map[string]any{"ref": "refs/tags/v1", "repository": "https://github.com/acme/shop"}},
			"resolvedDependencies": []any{map[string]any{"uri": "git+https://github.com/acme/shop@refs/tags/v1", "digest": map[string]string{"gitCommit": "abc"}}},
		},
		"runDetails": map[string]any{"builder": map[string]any{"id": "https://builder.example/b@v1"}},
	}
	slsa02 = map[string]any{
		"builder":    map[string]any{"id": "https://builder.example/b@v1"},
		"invocation": map[string]any{"configSource": map[string]any{"uri": "git+https://GitHub.com/acme/shop.git@refs/tags/v1", "digest": map[string]string{"sha1": "abc"}}},
	}
)

func seal(t testing.TB, key crypto.Signer, payloadType string, payload []byte) []byte {
	t.Helper()
	message := pae(payloadType, payload)
	var digest []byte
	opts := crypto.SignerOpts(crypto.SHA256)
	switch k := key.(type) {
	case ed25519.PrivateKey:
		digest, opts = message, crypto.Hash(0)
	case *ecdsa.PrivateKey:
		digest = sum(k.Curve.Params().BitSize, message)
	case *rsa.PrivateKey:
		d := sha256.Sum256(message)
		digest, opts = d[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	}
	sig, err := key.Sign(rand.Reader, digest, opts)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(map[string]any{
		"payload": base64.StdEncoding.EncodeToString(payload), "payloadType": payloadType,
		"signatures": []any{map[string]string{"keyid": "whatever", "sig": base64.StdEncoding.EncodeToString(sig)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const inTotoType = "application/vnd.in-toto+json"

func TestAttestations(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := Policy{Keys: []crypto.PublicKey{key.Public()}}
	with := func(change func(*Policy)) Policy { p := keys; change(&p); return p }
	right := with(func(p *Policy) {
		p.Builders, p.Sources = []string{"https://builder.example/b@*"}, []Source{{"https://github.com/acme/shop", "refs/tags/*"}}
	})
	good := statementOf(predicateSLSA1, slsa1, nil)
	for name, c := range map[string]struct {
		evidence []byte
		policy   Policy
		want     State
		why      string
	}{
		"v1":                   {seal(t, key, inTotoType, good), right, Verified, "built by https://builder.example/b@v1 from https://github.com/acme/shop refs/tags/v1"},
		"v0.2":                 {seal(t, key, inTotoType, statementOf(predicateSLSA02, slsa02, nil)), right, Verified, "built by"},
		"of any builder":       {seal(t, key, inTotoType, good), keys, Verified, "built by"},
		"by a stranger":        {seal(t, stranger, inTotoType, good), right, NotVerified, "by a key of the policy"},
		"without keys":         {seal(t, key, inTotoType, good), Policy{}, NotVerified, "no keys"},
		"another builder":      {seal(t, key, inTotoType, good), with(func(p *Policy) { p.Builders = []string{"https://builder.example/b"} }), Failed, "which the policy doesn't name"},
		"another source":       {seal(t, key, inTotoType, good), with(func(p *Policy) { p.Sources = []Source{{"https://github.com/acme/till", ""}} }), Failed, "which the policy doesn't name"},
		"another ref":          {seal(t, key, inTotoType, good), with(func(p *Policy) { p.Sources = []Source{{"https://github.com/acme/shop", "refs/heads/main"}} }), Failed, "which the policy doesn't name"},
		"a longer name":        {seal(t, key, inTotoType, good), with(func(p *Policy) { p.Sources = []Source{{"https://github.com/acme/sho", ""}} }), Failed, "which the policy doesn't name"},
		"tampered payload":     {bytes.Replace(seal(t, key, inTotoType, good), []byte(base64.StdEncoding.EncodeToString(good)), []byte(base64.StdEncoding.EncodeToString(statementOf(predicateSLSA02, slsa02, nil))), 1), right, NotVerified, "by a key of the policy"},
		"another payload type": {bytes.Replace(seal(t, key, inTotoType, good), []byte(inTotoType), []byte("text/plain"), 1), right, NotVerified, "by a key of the policy"},
		"signed as text":       {seal(t, key, "text/plain", good), keys, NotVerified, "doesn't say what it is of"},
		"no statement":         {seal(t, key, inTotoType, []byte(`{"a":1}`)), keys, Failed, "no in-toto statement"},
		"of something else": {seal(t, key, inTotoType, statementOf(predicateSLSA1, slsa1, func(s map[string]any) {
			s["subject"] = []any{map[string]any{"digest": map[string]string{"sha256": strings.Repeat("a", 64)}}}
		})), keys, Failed, "of something else"},
		"of a weak digest": {seal(t, key, inTotoType, statementOf(predicateSLSA1, slsa1, func(s map[string]any) {
			s["subject"] = []any{map[string]any{"digest": map[string]string{"sha1": strings.Repeat("a", 40)}}}
		})), keys, Failed, "of something else"},
		"of nothing":            {seal(t, key, inTotoType, statementOf(predicateSLSA1, slsa1, func(s map[string]any) { s["subject"] = []any{} })), keys, Failed, "of something else"},
		"an unknown predicate":  {seal(t, key, inTotoType, statementOf("https://cyclonedx.org/bom", map[string]any{}, nil)), keys, NotVerified, "is not one that is understood"},
		"a malformed predicate": {seal(t, key, inTotoType, statementOf(predicateSLSA1, "text", nil)), keys, NotVerified, "malformed"},
		"an old version":        {seal(t, key, inTotoType, statementOf("https://slsa.dev/provenance/v0.1", slsa02, nil)), keys, NotVerified, "is not one that is understood"},
		"several in one file":   {append(append(seal(t, key, inTotoType, statementOf("https://cyclonedx.org/bom", map[string]any{}, nil)), '\n'), seal(t, key, inTotoType, good)...), right, Verified, "built by"},
	} {
		mustVerify(t, name, artifact(content, c.evidence), c.policy, c.want, c.why)
	}
	contradicts := statementOf(predicateSLSA1, slsa1, func(s map[string]any) {
		s["subject"].([]any)[0].(map[string]any)["digest"].(map[string]string)["sha512"] = strings.Repeat("a", 128)
	})
	mustVerify(t, "one digest of two is wrong", artifact(content, seal(t, key, inTotoType, contradicts)), keys, Failed, "of something else")
}

func TestKeysOfAllKinds(t *testing.T) {
	var signers []crypto.Signer
	for _, c := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		signers = append(signers, k)
	}
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(signers, k) {
		der, err := x509.MarshalPKIXPublicKey(s.Public())
		if err != nil {
			t.Fatal(err)
		}
		keys, err := ParseKeys(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		if err != nil {
			t.Fatal(err)
		}
		mustVerify(t, fmt.Sprintf("%T", s), artifact(content, seal(t, s, inTotoType, statementOf(predicateSLSA1, slsa1, nil))), Policy{Keys: keys}, Verified, "built by")
	}
	for _, text := range []string{"", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"} {
		if _, err := ParseKeys([]byte(text)); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	pub, priv, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seal(f, key, inTotoType, statementOf(predicateSLSA1, slsa1, nil)))
	f.Add(minisign.Sign(priv, content))
	_, trusted, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	other, _, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	_ = pub
	policy := Policy{Keys: []crypto.PublicKey{trusted.Public()}, MinisignKeys: []string{other.String()}}
	f.Fuzz(func(t *testing.T, evidence []byte) {
		r, err := Verify(context.Background(), artifact(content, evidence), policy)
		if err == nil && r.State == Verified {
			t.Fatalf("nobody trusted signed it: %+v", r)
		}
	})
}

func FuzzStatement(f *testing.F) {
	f.Add(statementOf(predicateSLSA1, slsa1, nil))
	f.Add(statementOf(predicateSLSA02, slsa02, nil))
	f.Fuzz(func(t *testing.T, payload []byte) {
		v := verifier{policy: &Policy{Builders: []string{"https://nobody.example/b"}}, digests: map[string]string{"sha256": strings.Repeat("a", 64)}}
		var c Check
		if v.statement(&c, inTotoType, payload); c.State == Verified && c.Statement.Builder != "https://nobody.example/b" {
			t.Fatalf("%+v", c)
		}
	})
}

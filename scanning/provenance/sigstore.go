package provenance

import (
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning/internal/untrusted"
)

// sigstore is what the policy says of it; nil if it says nothing.
type sigstore struct {
	verifier   *verify.Verifier
	identities []verify.PolicyOption
}

func newSigstore(p *Policy) (*sigstore, error) {
	if len(p.TrustedRoot) == 0 && len(p.Identities) == 0 {
		return nil, nil //nolint:nilnil // no policy for Sigstore is not an error: its bundles are then not verified
	}
	if len(p.TrustedRoot) == 0 || len(p.Identities) == 0 {
		return nil, core.E(core.KindInvalid, op, "Sigstore needs both: a trusted root, and who may sign").
			WithHint("get trusted_root.json from the Sigstore instance that signs, and name the identity and its issuer")
	}
	if err := untrusted.CheckJSON(p.TrustedRoot, evidenceLimits); err != nil {
		return nil, err
	}
	material, err := root.NewTrustedRootFromJSON(p.TrustedRoot)
	if err != nil {
		return nil, core.E(core.KindInvalid, op, "the trusted root is malformed: "+untrusted.Clip(err.Error(), 300))
	}
	return sigstoreWith(material, p)
}

func sigstoreWith(material root.TrustedMaterial, p *Policy) (*sigstore, error) {
	var s sigstore
	options := []verify.VerifierOption{verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1)}
	if !p.NoCertificateTransparency {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	v, err := verify.NewVerifier(material, options...)
	if err != nil {
		return nil, core.Wrap(core.KindInvalid, op, err)
	}
	s.verifier = v
	for _, id := range p.Identities {
		o, err := identity(id)
		if err != nil {
			return nil, err
		}
		s.identities = append(s.identities, o)
	}
	return &s, nil
}

// identity refuses what would let anybody in: no issuer, no name, a pattern that
// matches whatever is held against it.
func identity(id Identity) (verify.PolicyOption, error) {
	if id.Issuer == "" || (id.Name == "") == (id.Pattern == "") {
		return nil, core.E(core.KindInvalid, op, "an identity needs its issuer, and either a name or a pattern")
	}
	pattern := ""
	if id.Pattern != "" {
		pattern = `^(?:` + id.Pattern + `)$`
		re, err := regexp.Compile(pattern)
		if err != nil {
			return nil, core.Wrap(core.KindInvalid, op, err)
		}
		if re.MatchString("https://anybody.example/anything@refs/heads/any") || re.MatchString("anybody@anywhere.example") {
			return nil, core.E(core.KindInvalid, op, fmt.Sprintf("the pattern %.60q matches anybody", id.Pattern)).WithHint("write out the repository or the domain")
		}
	}
	c, err := verify.NewShortCertificateIdentity(id.Issuer, "", id.Name, pattern)
	if err != nil {
		return nil, core.Wrap(core.KindInvalid, op, err)
	}
	return verify.WithCertificateIdentity(c), nil
}

// bundle checks a Sigstore bundle: a signature of the artifact, or an attestation.
func (v *verifier) bundle(name string, doc []byte) Check {
	c := Check{Kind: "sigstore", Evidence: name}
	var b bundle.Bundle
	if err := b.UnmarshalJSON(doc); err != nil {
		c.Why = "it is no Sigstore bundle that is read: " + untrusted.Clip(err.Error(), 300)
		return c
	}
	v.entity(&c, &b)
	return c
}

// entity is where what says to be signed is held against the policy.
func (v *verifier) entity(c *Check, e verify.SignedEntity) {
	content, err := e.SignatureContent()
	if err != nil {
		c.Why = "the bundle holds no signature: " + untrusted.Clip(err.Error(), 300)
		return
	}
	if v.sigstore == nil {
		c.Why = "the policy has neither a trusted root nor identities for Sigstore"
		return
	}
	if vc, err := e.VerificationContent(); err != nil || vc.Certificate() == nil {
		c.Why = "it is signed with a key and not with a certificate, so it names nobody"
		return
	}
	artifact, err := v.artifactOption(content)
	if err != nil {
		c.State, c.Why = Failed, err.Error()
		return
	}
	result, err := v.sigstore.verifier.Verify(e, verify.NewPolicy(artifact, v.sigstore.identities...))
	if err != nil {
		c.State, c.Why = Failed, untrusted.Clip(err.Error(), 500)
		return
	}
	if cert := result.Signature.Certificate; cert != nil {
		c.Signer = cert.SubjectAlternativeName + " (" + cert.Issuer + ")"
	}
	env := content.EnvelopeContent()
	if env == nil {
		c.State, c.Why = Verified, "signed by "+c.Signer
		return
	}
	raw := env.RawEnvelope()
	payload, err := raw.DecodeB64Payload()
	if err != nil {
		c.State, c.Why = Failed, "the envelope's payload isn't base64"
		return
	}
	v.statement(c, raw.PayloadType, payload)
}

// artifactOption says by which digest the artifact is compared: the one that the
// signature is over, or one that the statement names it by.
func (v *verifier) artifactOption(content verify.SignatureContent) (verify.ArtifactPolicyOption, error) {
	var algorithms []string
	if m := content.MessageSignatureContent(); m != nil {
		algorithms = []string{map[string]string{"SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512"}[m.DigestAlgorithm()]}
	} else if env := content.EnvelopeContent(); env != nil {
		s, err := env.Statement()
		if err != nil {
			return nil, fmt.Errorf("what is signed is no in-toto statement: %.200s", err.Error())
		}
		named := map[string]bool{}
		for i, sub := range s.GetSubject() {
			if i < maxSubjects {
				for alg := range sub.GetDigest() {
					named[alg] = true
				}
			}
		}
		algorithms = slices.Sorted(maps.Keys(named))
	}
	for _, alg := range algorithms {
		if d, ok := v.digests[alg]; ok {
			raw, err := hex.DecodeString(d)
			return verify.WithArtifactDigest(alg, raw), err
		}
	}
	return nil, fmt.Errorf("it names the artifact by none of the digests that are known of it (it has %.100v)", algorithms)
}

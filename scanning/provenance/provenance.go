package provenance

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"regexp"

	"aead.dev/minisign"

	"github.com/interlock-security/interlock/core"
)

const op = "provenance.Verify"

// The limits of what is read.
const (
	maxEvidence     = 64
	maxEvidenceSize = 16 << 20
	maxStatements   = 200       // of a file with several, one a line
	maxLegacy       = 256 << 20 // an artifact whose legacy signature is over all of its bytes
)

// Artifact is what is to be verified, with what speaks for it.
type Artifact struct {
	Name string
	// Open reads it from its beginning; it is read more than once.
	Open func() (io.ReadCloser, error)
	// Digests are used in place of Open for what is known by its digest only (an
	// image): "sha256": hex. They are taken as true.
	Digests  map[string]string
	Evidence []Evidence
}

// Evidence is a signature, bundle or attestation.
type Evidence struct {
	Name string
	Data []byte
}

// Policy is who and what is trusted.
type Policy struct {
	// MinisignKeys are public keys as minisign writes them.
	MinisignKeys []string
	// Keys verify DSSE envelopes: ECDSA, Ed25519, RSA (see [ParseKeys]).
	Keys []crypto.PublicKey
	// TrustedRoot is Sigstore's trusted_root.json, Identities who may sign.
	TrustedRoot []byte
	Identities  []Identity
	// NoCertificateTransparency is for a private Sigstore that has no CT log.
	NoCertificateTransparency bool
	// Builders and Sources, if given, demand SLSA provenance that names one of
	// each. RequireProvenance demands it from any builder.
	RequireProvenance bool
	Builders          []string // exact; "...@*" is any version of it
	Sources           []Source
}

// Identity is who may sign with Sigstore. The issuer is always exact; of name and
// pattern there is one.
type Identity struct {
	Issuer string // https://token.actions.githubusercontent.com
	// Name is the certificate's subject: a workflow's address, an e-mail address.
	Name string
	// Pattern must match the whole of it; one that matches everything is refused.
	Pattern string
}

// Source is where an artifact may be built from.
type Source struct {
	Repository string // https://github.com/acme/shop
	// Ref, if set, is exact, or a beginning followed by *: refs/tags/*.
	Ref string
}

// State is what is known. The zero State is NotVerified.
type State uint8

// The states.
const (
	NotVerified State = iota
	Failed
	Verified
)

// String returns the state's word.
func (s State) String() string {
	switch s {
	case Failed:
		return "failed"
	case Verified:
		return "verified"
	}
	return "not-verified"
}

// MarshalText implements encoding.TextMarshaler.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Check is what came of a piece of evidence.
type Check struct {
	// Kind is minisign, sigstore, dsse or unknown.
	Kind     string `json:"kind"`
	Evidence string `json:"evidence"`
	State    State  `json:"state"`
	// Why is a sentence, with what is wrong or what was verified.
	Why string `json:"why"`
	// Signer is who signed: a key's id, or a certificate's name and issuer.
	Signer string `json:"signer,omitempty"`
	// Comment is minisign's trusted comment.
	Comment string `json:"comment,omitempty"`
	// Statement is what was attested, for attestations.
	Statement *Statement `json:"statement,omitempty"`
}

// Result is what is known of an artifact.
type Result struct {
	Artifact string            `json:"artifact"`
	State    State             `json:"state"`
	Why      string            `json:"why"`
	Digests  map[string]string `json:"digests"`
	Checks   []Check           `json:"checks"`
}

// Verify checks all the evidence. An error means that nothing could be checked.
func Verify(ctx context.Context, a Artifact, p Policy) (Result, error) {
	r := Result{Artifact: a.Name, Why: "nothing was checked"}
	v, err := newVerifier(&a, &p)
	if err != nil {
		return r, err
	}
	if err := v.digest(ctx); err != nil {
		return r, err
	}
	r.Digests = v.digests
	for _, e := range a.Evidence {
		if err := ctx.Err(); err != nil {
			return r, core.Wrap(core.KindUnavailable, op, err)
		}
		r.Checks = append(r.Checks, v.check(e)...)
	}
	r.State, r.Why = v.judge(r.Checks)
	return r, nil
}

// judge fails closed: one failed check is enough, and only what the policy asks
// for is enough the other way.
func (v *verifier) judge(checks []Check) (State, string) {
	signed, built := "", ""
	for _, c := range checks {
		switch {
		case c.State == Failed:
			return Failed, c.Evidence + ": " + c.Why
		case c.State == Verified && c.Statement != nil:
			built = c.Why
		case c.State == Verified:
			signed = c.Why
		}
	}
	switch {
	case built != "":
		return Verified, built
	case signed != "" && !v.policy.wantsProvenance():
		return Verified, signed
	case signed != "":
		return NotVerified, "it is signed (" + signed + "), and nothing that counts says how it was built"
	case len(checks) == 0:
		return NotVerified, "nothing speaks for it: no signature, no attestation"
	}
	return NotVerified, checks[0].Evidence + ": " + checks[0].Why
}

func (p *Policy) wantsProvenance() bool {
	return p.RequireProvenance || len(p.Builders) > 0 || len(p.Sources) > 0
}

// verifier is a policy that was understood, and the artifact's digests.
type verifier struct {
	artifact *Artifact
	policy   *Policy
	sigstore *sigstore
	digests  map[string]string
	keys     []minisign.PublicKey
	prehash  *minisign.Reader // has read the artifact
	size     int64
}

func newVerifier(a *Artifact, p *Policy) (*verifier, error) {
	switch {
	case a.Open == nil && len(a.Digests) == 0:
		return nil, core.E(core.KindInvalid, op, "there is no artifact: neither bytes nor digests")
	case len(a.Evidence) > maxEvidence:
		return nil, core.E(core.KindTooLarge, op, fmt.Sprintf("there are more than %d pieces of evidence", maxEvidence))
	}
	for _, e := range a.Evidence {
		if len(e.Data) > maxEvidenceSize {
			return nil, core.E(core.KindTooLarge, op, e.Name+" is larger than a signature may be")
		}
	}
	for _, b := range p.Builders {
		if b == "" || b == "*" || b == "@*" {
			return nil, core.E(core.KindInvalid, op, "a builder must be named")
		}
	}
	for _, s := range p.Sources {
		if repository(s.Repository) == "" {
			return nil, core.E(core.KindInvalid, op, "a source must name its repository")
		}
	}
	s, err := newSigstore(p)
	if err != nil {
		return nil, err
	}
	keys, err := minisignKeys(p.MinisignKeys)
	if err != nil {
		return nil, err
	}
	return &verifier{artifact: a, policy: p, sigstore: s, keys: keys}, nil
}

var hexDigest = regexp.MustCompile(`^[0-9a-f]+$`)

// strong are the hashes that may name an artifact, with their length in hex.
var strong = map[string]int{"sha256": 64, "sha384": 96, "sha512": 128}

// digest reads the artifact once for all the hashes that evidence may use.
func (v *verifier) digest(ctx context.Context) error {
	v.digests = map[string]string{}
	if v.artifact.Open == nil {
		for alg, d := range v.artifact.Digests {
			if strong[alg] != len(d) || !hexDigest.MatchString(d) {
				return core.E(core.KindInvalid, op, fmt.Sprintf("%.20q is no digest to verify by", alg)).WithHint("give sha256, sha384 or sha512 as small hexadecimal digits")
			}
			v.digests[alg] = d
		}
		return nil
	}
	hashes := map[string]hash.Hash{"sha256": sha256.New(), "sha384": sha512.New384(), "sha512": sha512.New()}
	in, err := v.artifact.Open()
	if err != nil {
		return core.Wrap(core.KindUnavailable, op, err)
	}
	defer in.Close()
	prehash := minisign.NewReader(&cancelled{ctx, in})
	v.size, err = io.Copy(io.MultiWriter(hashes["sha256"], hashes["sha384"], hashes["sha512"]), prehash)
	if err != nil {
		return core.Wrap(core.KindUnavailable, op, err)
	}
	for alg, h := range hashes {
		v.digests[alg] = hex.EncodeToString(h.Sum(nil))
	}
	v.prehash = prehash
	return nil
}

// bytes reads the artifact again, and makes sure that it is still the same.
func (v *verifier) bytes(limit int64) ([]byte, error) {
	if v.artifact.Open == nil {
		return nil, core.E(core.KindInvalid, op, "this signature is over the bytes, and only the digest is known")
	}
	if v.size > limit {
		return nil, core.E(core.KindTooLarge, op, fmt.Sprintf("this signature is over all bytes at once, which is done up to %d MB", limit>>20)).WithHint("have it signed prehashed (minisign -H)")
	}
	in, err := v.artifact.Open()
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, op, err)
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, v.size+1))
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, op, err)
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != v.digests["sha256"] {
		return nil, core.E(core.KindConflict, op, "the artifact changed while it was verified")
	}
	return b, nil
}

// cancelled stops reading when the context ends.
type cancelled struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancelled) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

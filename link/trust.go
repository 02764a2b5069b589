package link

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/mod/sumdb/note"

	"github.com/interlock-security/interlock/core"
)

// Trust is a verified trust root: whom a device, an approver or the keys
// process believes (TRUST F01). It never changes; a new version is a new Trust.
type Trust struct {
	root     *Root
	envelope []byte
	hash     string

	keys    map[string]core.PersonID // key id → whose it is
	roles   map[RoleName]*Role
	offline map[string]bool // keys of the root role, which count nowhere else
	command ssh.PublicKey
	stop    ssh.PublicKey
	log     note.Verifier
	witness *witnessPolicy // nil: unwitnessed
}

// NewTrust takes a first trust root on the word of wantHash, the SHA-256 (hex)
// of its payload from the ceremony sheet, the enrolment string or the device's
// own state. The root must also be signed by its own root role, so that nobody
// enrols under a document that its people never signed.
func NewTrust(rootEnvelope []byte, wantHash string) (*Trust, error) {
	const op = "link.NewTrust"
	if !isHex(wantHash, sha256.Size) {
		return nil, core.E(core.KindInvalid, op, "the expected hash is not a SHA-256 in lower-case hex").WithHint("take it from the ceremony sheet")
	}
	t, env, err := parseRoot(rootEnvelope)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	if t.hash != wantHash {
		return nil, core.E(core.KindDenied, op, fmt.Sprintf("the trust root has hash %s, expected is %s", t.hash, wantHash)).WithHint("compare with the ceremony sheet; do not go on with another root")
	}
	if tally := t.tally(RoleRoot, verified(env, NamespaceRoot), ""); !tally.Complete() {
		return nil, core.E(core.KindDenied, op, tally.String())
	}
	return t, nil
}

func parseRoot(rootEnvelope []byte) (*Trust, *Envelope, error) {
	env, err := ParseEnvelope(rootEnvelope)
	if err != nil {
		return nil, nil, err
	}
	t, err := resolve(env.Payload)
	if err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256(env.Payload)
	t.hash, t.envelope = hex.EncodeToString(sum[:]), bytes.Clone(rootEnvelope)
	return t, env, nil
}

// Root returns a copy of the document: nobody can change whom a Trust believes.
func (t *Trust) Root() *Root {
	r := withoutNil(reflect.ValueOf(*t.root)).Interface().(Root)
	return &r
}

// Hash returns the SHA-256, hex, of the root's payload.
func (t *Trust) Hash() string { return t.hash }

// Envelope returns the bytes that the root came in, for storing.
func (t *Trust) Envelope() []byte { return bytes.Clone(t.envelope) }

// Witnessed reports whether the root names an outside witness.
func (t *Trust) Witnessed() bool { return t.witness != nil }

// Person returns whose key this is.
func (t *Trust) Person(keyID string) (core.PersonID, bool) {
	id, ok := t.keys[keyID]
	return id, ok
}

// Succession is a trust root that may follow.
type Succession struct {
	Next *Trust
	// Delay is how long the device shows the new root before it takes it. It
	// is zero where the policy role of the old root signed too, with its
	// everyday keys; recovery keys alone wait, so that the theft of a sheet
	// of paper can be noticed and objected to (F22).
	Delay time.Duration
}

// Update is [Trust.Succeed] for a root that may be taken at once; a recovery,
// which must wait, is an error of kind conflict.
func (t *Trust) Update(rootEnvelope, proof []byte) (*Trust, error) {
	s, err := t.Succeed(rootEnvelope, proof)
	if err != nil {
		return nil, err
	}
	if s.Delay > 0 {
		return nil, core.E(core.KindConflict, "link.Trust.Update", fmt.Sprintf("trust root %d is signed by recovery keys alone and waits %s", s.Next.root.Version, s.Delay)).WithHint("have the policy role sign it too, or let the delay pass")
	}
	return s.Next, nil
}

// Succeed checks the next trust root (F01, F15). It is one version higher, of
// the same installation and tenant, signed by the root role of this version and
// of its own, and in the log: proof is a tlog-proof whose extra data is the
// audit leaf, verified under this version's log key and, where this version
// names witnesses, with their quorum. A root that names another log may stand in
// that one instead. Once witnesses are named they are never none again.
func (t *Trust) Succeed(rootEnvelope, proof []byte) (*Succession, error) {
	const op = "link.Trust.Update"
	next, env, err := parseRoot(rootEnvelope)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	if err := t.follows(next); err != nil {
		return nil, err
	}
	sigs := verified(env, NamespaceRoot)
	for _, judge := range []*Trust{t, next} {
		if tally := judge.tally(RoleRoot, sigs, ""); !tally.Complete() {
			return nil, core.E(core.KindDenied, op, fmt.Sprintf("trust root %d by the rules of version %d: %s", next.root.Version, judge.root.Version, tally))
		}
	}
	if err := t.logged(next, proof); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	s := &Succession{Next: next}
	if !t.tally(RolePolicy, sigs, "").Complete() {
		s.Delay = time.Duration(t.root.RecoveryDelay) * time.Second
	}
	return s, nil
}

func (t *Trust) follows(next *Trust) error {
	const op = "link.Trust.Update"
	a, b := t.root, next.root
	switch {
	case b.Version == a.Version && next.hash == t.hash:
		return core.E(core.KindReplayed, op, fmt.Sprintf("trust root %d is the one in force", b.Version))
	case b.Version <= a.Version:
		return core.E(core.KindReplayed, op, fmt.Sprintf("trust root %d is not newer than %d; a version is never taken back", b.Version, a.Version))
	case b.Version != a.Version+1:
		return core.E(core.KindDenied, op, fmt.Sprintf("trust root %d cannot follow %d; versions are taken one at a time", b.Version, a.Version)).WithHint(fmt.Sprintf("send version %d first", a.Version+1))
	case b.Installation != a.Installation || b.Tenant != a.Tenant:
		return core.E(core.KindDenied, op, fmt.Sprintf("trust root of installation %q, tenant %q; this is %q, %q", clip(b.Installation), b.Tenant, a.Installation, a.Tenant))
	case t.witness != nil && next.witness == nil:
		return core.E(core.KindDenied, op, fmt.Sprintf("trust root %d names no witness; version %d does, and witnesses are never none again", b.Version, a.Version))
	}
	return nil
}

// logged checks that the log, the old one or the new, holds an entry for next.
func (t *Trust) logged(next *Trust, proof []byte) error {
	p, err := parseProof(proof)
	if err != nil {
		return err
	}
	kind, object, err := readLeaf(p.ExtraData)
	if err != nil {
		return fmt.Errorf("the proof's extra data must be the audit leaf: %w", err)
	}
	if want := RootObject(next.hash); kind != LeafAuthority || object != want {
		return proofError(core.KindDenied, "the proof is of a leaf of type %q for %q, want %q for %q", clip(kind), clip(object), LeafAuthority, want)
	}
	return t.provedIn(next, p)
}

// verified returns the signatures of an envelope that hold in a namespace. The
// others say nothing there, whoever made them.
func verified(env *Envelope, namespace string) []*sshsig {
	var out []*sshsig
	for _, s := range env.Signatures {
		if p, err := s.parse(); err == nil && p.verify(namespace, env.Payload) == nil {
			out = append(out, p)
		}
	}
	return out
}

// Tally is how far a role's threshold is reached.
type Tally struct {
	Role     RoleName
	Need     int
	NeedKeys int
	Persons  []core.PersonID // who counts, each once
	Keys     int
	Ignored  []string // signatures that count nothing, and why
}

// Complete reports whether the threshold is reached.
func (y Tally) Complete() bool {
	return y.Need > 0 && len(y.Persons) >= y.Need && y.Keys >= y.NeedKeys
}

// String says what is there and what is wanted.
func (y Tally) String() string {
	s := fmt.Sprintf("role %s needs %d person(s)", y.Role, y.Need)
	if y.NeedKeys > y.Need {
		s += fmt.Sprintf(" with %d keys", y.NeedKeys)
	}
	s += fmt.Sprintf(", has %d %v with %d key(s)", len(y.Persons), y.Persons, y.Keys)
	for _, why := range y.Ignored {
		s += "; " + why
	}
	return s
}

// tally counts distinct persons, and their distinct keys, in a role. The
// requester never counts where two persons are asked for (F22); pass "" where
// nobody requested.
func (t *Trust) tally(name RoleName, sigs []*sshsig, requester string) Tally {
	role, ok := t.roles[name]
	if !ok {
		return Tally{Role: name}
	}
	out := Tally{Role: name, Need: role.Threshold, NeedKeys: role.KeysThreshold}
	for _, s := range sigs {
		id := KeyID(s.key)
		if why := t.ignores(role, s, requester); why != "" {
			out.Ignored = append(out.Ignored, id+" "+why)
			continue
		}
		if out.Keys++; !slices.Contains(out.Persons, t.keys[id]) {
			out.Persons = append(out.Persons, t.keys[id])
		}
	}
	return out
}

func (t *Trust) ignores(role *Role, s *sshsig, requester string) string {
	id := KeyID(s.key)
	person, known := t.keys[id]
	switch {
	case !known:
		return "is no person's key"
	case !t.counts(role, id):
		return fmt.Sprintf("of %s does not count in role %s", person, role.Name)
	case t.root.Mode == ModeQuorum && requester == person.String():
		return fmt.Sprintf("of %s does not count: the requester never approves", person)
	case role.Name == RoleDestroy && !s.userVerified():
		return fmt.Sprintf("of %s was used without PIN or fingerprint, which role %s wants", person, role.Name)
	}
	return ""
}

package link

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/interlock-security/interlock/core"
)

const (
	maxPolicy     = 16 << 10
	maxComponents = 64
)

// Signature types of C2SP vkeys.
const (
	vkeyEd25519     = 0x01
	vkeyCosignature = 0x04
)

// witnessPolicy says which sets of cosignatures make a checkpoint witnessed
// (C2SP tlog-policy). Beyond that text each group needs a strict majority of
// its members, so that two halves can't sign two histories (TRUST F15), and a
// quorum of none is refused: an unwitnessed root leaves the policy empty.
type witnessPolicy struct {
	verifiers []note.Verifier
	keys      [][]byte // the public keys, for the check that no key has two offices
	parts     map[string]*policyPart
	quorum    string
}

// policyPart is a witness (verifier set) or a group.
type policyPart struct {
	verifier note.Verifier
	need     int
	members  []string
	used     bool // is a member of a group; each may be of one
}

func policyError(line int, format string, args ...any) error {
	return core.E(core.KindInvalid, "link.WitnessPolicy", fmt.Sprintf("line %d: %s", line, fmt.Sprintf(format, args...)))
}

// parseWitnessPolicy returns nil for the empty text.
func parseWitnessPolicy(text string) (*witnessPolicy, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > maxPolicy {
		return nil, core.E(core.KindTooLarge, "link.WitnessPolicy", fmt.Sprintf("%d bytes, at most %d are allowed", len(text), maxPolicy))
	}
	p := &witnessPolicy{parts: map[string]*policyPart{}}
	for i, line := range strings.Split(text, "\n") {
		if at := strings.IndexFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }); at >= 0 {
			return nil, policyError(i+1, "control character %q", line[at])
		}
		fields := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if err := p.line(i+1, fields); err != nil {
			return nil, err
		}
	}
	if p.quorum == "" {
		return nil, core.E(core.KindInvalid, "link.WitnessPolicy", "there is no quorum line")
	}
	return p, nil
}

func (p *witnessPolicy) line(n int, fields []string) error {
	if p.quorum != "" && fields[0] != "log" {
		return policyError(n, "%q after the quorum line", clip(fields[0]))
	}
	switch fields[0] {
	case "log":
		return policyError(n, "the log stands in log_key and log_origin, not here")
	case "witness":
		return p.witness(n, fields[1:])
	case "group":
		return p.group(n, fields[1:])
	case "quorum":
		return p.setQuorum(n, fields[1:])
	}
	return policyError(n, "unknown keyword %q", clip(fields[0]))
}

func (p *witnessPolicy) name(n int, name string) error {
	switch {
	case name == "none":
		return policyError(n, "none is not a name")
	case p.parts[name] != nil:
		return policyError(n, "%q is defined twice", clip(name))
	case len(p.parts) == maxComponents:
		return policyError(n, "more than %d witnesses and groups", maxComponents)
	}
	return nil
}

func (p *witnessPolicy) witness(n int, f []string) error {
	if len(f) != 2 && len(f) != 3 {
		return policyError(n, "want: witness <name> <vkey> [<url>]")
	}
	if err := p.name(n, f[0]); err != nil {
		return err
	}
	key, err := parseVkey(f[1], vkeyCosignature)
	if err != nil {
		return policyError(n, "%v", err)
	}
	if slices.ContainsFunc(p.keys, func(k []byte) bool { return slices.Equal(k, key) }) {
		return policyError(n, "the key of %q is also another witness's", clip(f[0]))
	}
	v, err := fnote.NewVerifierForCosignatureV1(f[1])
	if err != nil {
		return policyError(n, "%v", err)
	}
	p.verifiers, p.keys = append(p.verifiers, v), append(p.keys, key)
	p.parts[f[0]] = &policyPart{verifier: v}
	return nil
}

func (p *witnessPolicy) group(n int, f []string) error {
	if len(f) < 3 {
		return policyError(n, "want: group <name> <k|any|all> <member>...")
	}
	if err := p.name(n, f[0]); err != nil {
		return err
	}
	g := &policyPart{members: f[2:]}
	switch f[1] {
	case "any":
		g.need = 1
	case "all":
		g.need = len(g.members)
	default:
		k, err := strconv.Atoi(f[1])
		if err != nil || strconv.Itoa(k) != f[1] || k < 1 || k > len(g.members) {
			return policyError(n, "threshold %q of %d members", clip(f[1]), len(g.members))
		}
		g.need = k
	}
	if 2*g.need <= len(g.members) {
		return policyError(n, "%d of %d is not a majority: two halves could sign two histories", g.need, len(g.members))
	}
	for _, m := range g.members {
		part := p.parts[m]
		if part == nil || part.used {
			return policyError(n, "member %q is unknown or already in a group", clip(m))
		}
		part.used = true
	}
	p.parts[f[0]] = g
	return nil
}

func (p *witnessPolicy) setQuorum(n int, f []string) error {
	if len(f) != 1 || p.parts[f[0]] == nil {
		return policyError(n, "want: quorum <name of a witness or group>; leave the policy empty for none")
	}
	p.quorum = f[0]
	return nil
}

// satisfied reports whether these verified cosignatures are a quorum.
func (p *witnessPolicy) satisfied(sigs []note.Signature) bool {
	return p.partSatisfied(p.quorum, sigs)
}

func (p *witnessPolicy) partSatisfied(name string, sigs []note.Signature) bool {
	part := p.parts[name]
	if v := part.verifier; v != nil {
		return slices.ContainsFunc(sigs, func(s note.Signature) bool { return s.Name == v.Name() && s.Hash == v.KeyHash() })
	}
	have := 0
	for _, m := range part.members {
		if p.partSatisfied(m, sigs) {
			have++
		}
	}
	return have >= part.need
}

// parseVkey returns the raw Ed25519 key of a vkey of the wanted signature type,
// after the checks that the library leaves out.
func parseVkey(vkey string, want byte) ([]byte, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	hash, text, ok := strings.Cut(rest, "+")
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || err != nil || len(key) != 33 || name == "" {
		return nil, core.E(core.KindInvalid, "link.ParseVkey", fmt.Sprintf("%q is not a vkey of an Ed25519 key", clip(vkey)))
	}
	if key[0] != want {
		return nil, core.E(core.KindInvalid, "link.ParseVkey", fmt.Sprintf("vkey %q is of signature type %#02x, want %#02x", clip(vkey), key[0], want))
	}
	if id := fmt.Sprintf("%08x", noteKeyHash(name, key)); id != hash {
		return nil, core.E(core.KindInvalid, "link.ParseVkey", fmt.Sprintf("vkey %q has key id %s, computed %s", clip(vkey), clip(hash), id))
	}
	return key[1:], nil
}

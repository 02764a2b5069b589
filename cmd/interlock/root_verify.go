package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

type rootVerifyCmd struct {
	File  string `arg:"" help:"The trust root or proposal." type:"path"`
	From  string `help:"The trust root that the device has; by default your own copy." type:"path"`
	Proof string `help:"The proof that it is in the log, from: interlock audit proof. Before it is published there is none." type:"path"`
}

// Help implements kong's long help.
func (rootVerifyCmd) Help() string {
	return `Judges by the very code that devices run. A device also wants the proof that the root is in the log, which the server makes when
the root is published; without --proof the answer is about signatures alone and says so.

Exit code 0 when a device would take it, 1 when not.

Example:
  interlock root verify root-2.json
  interlock root verify root-2.json --from root-1.json --proof root-2.tlog-proof`
}

// judgement is what a device that has one root would make of the next.
type judgement struct {
	From    uint64        `json:"from"`
	Version uint64        `json:"version"`
	Hash    string        `json:"hash"`
	Code    string        `json:"code"`
	Takes   bool          `json:"takes"`
	Logged  bool          `json:"logged"` // the proof was there and holds
	Problem string        `json:"problem,omitempty"`
	Wait    string        `json:"wait,omitempty"` // how long a device shows it first
	Roles   []roleSigners `json:"roles"`
}

// roleSigners says who signed for a role, and who still could.
type roleSigners struct {
	By      string   `json:"by"` // "root role of version 1"
	Need    string   `json:"need"`
	Signed  []string `json:"signed"`
	Missing []string `json:"missing"` // those who have not signed
}

// Run judges.
func (c *rootVerifyCmd) Run(e *env) error {
	envelope, err := readLimited(c.File, link.MaxEnvelope)
	if err != nil {
		return err
	}
	var proof []byte
	if c.Proof != "" {
		if proof, err = readLimited(c.Proof, maxProofFile); err != nil {
			return err
		}
	}
	old, err := rootBefore(e, c.From)
	if err != nil {
		return err
	}
	j, err := judge(old, envelope, proof)
	if err != nil {
		return err
	}
	if err := e.show(j, func(w io.Writer) { tellJudgement(w, j) }); err != nil {
		return err
	}
	if !j.Takes {
		return errFindings
	}
	return nil
}

// judge asks link, as a device does. The lists of who signed are for people and
// decide nothing.
func judge(old *link.Trust, envelope, proof []byte) (*judgement, error) {
	env, err := link.ParseEnvelope(envelope)
	if err != nil {
		return nil, err
	}
	next, err := link.DecodeRoot(env.Payload)
	if err != nil {
		return nil, err
	}
	_, v, err := inspect(envelope)
	if err != nil {
		return nil, err
	}
	j := &judgement{From: old.Root().Version, Version: next.Version, Hash: v.Hash, Code: v.Code}
	j.Roles = []roleSigners{
		whoSigned(env, old.Root(), link.RoleRoot), whoSigned(env, next, link.RoleRoot), whoSigned(env, old.Root(), link.RolePolicy),
	}
	s, err := old.Succeed(envelope, proof)
	switch {
	case err == nil:
		j.Takes, j.Logged = true, true
		if s.Delay > 0 {
			j.Wait = s.Delay.String()
		}
	case proof == nil && core.KindOf(err) == core.KindInvalid: // only the proof is malformed: there is none
		j.Takes = true
		if policy := j.Roles[2]; len(policy.Signed) < needed(old.Root(), link.RolePolicy) {
			j.Wait = (time.Duration(old.Root().RecoveryDelay) * time.Second).String()
		}
	default:
		j.Problem = err.Error()
	}
	return j, nil
}

// whoSigned lists the keys that count in a role, by whether they have signed.
func whoSigned(env *link.Envelope, r *link.Root, name link.RoleName) roleSigners {
	role := roleOf(r, name)
	out := roleSigners{By: fmt.Sprintf("%s role of version %d", name, r.Version), Need: fmt.Sprintf("%d person(s)", role.Threshold), Signed: []string{}, Missing: []string{}}
	if role.KeysThreshold > 0 {
		out.Need += fmt.Sprintf(" with %d keys", role.KeysThreshold)
	}
	valid := validKeys(env)
	for _, p := range r.Persons {
		if !slices.Contains(role.Members, p.ID) {
			continue
		}
		for _, k := range p.Keys {
			id := keyIDOf(k)
			switch {
			case !countsIn(r, role, id):
			case slices.Contains(valid, id):
				out.Signed = append(out.Signed, p.ID.String()+" "+id)
			default:
				out.Missing = append(out.Missing, p.ID.String()+" "+id)
			}
		}
	}
	return out
}

func roleOf(r *link.Root, name link.RoleName) link.Role {
	for _, role := range r.Roles {
		if role.Name == name {
			return role
		}
	}
	return link.Role{Name: name}
}

func needed(r *link.Root, name link.RoleName) int {
	role := roleOf(r, name)
	return max(role.Threshold, role.KeysThreshold)
}

// countsIn reports whether a member's key speaks in a role: a named one where
// the role names keys, else any but the recovery keys.
func countsIn(r *link.Root, role link.Role, id string) bool {
	if len(role.KeyIDs) > 0 {
		return slices.Contains(role.KeyIDs, id)
	}
	return !slices.Contains(roleOf(r, link.RoleRoot).KeyIDs, id)
}

// validKeys are the keys whose signatures over the envelope's bytes hold.
func validKeys(env *link.Envelope) []string {
	var ids []string
	for _, s := range env.Signatures {
		if _, id, err := link.Verify(s, link.NamespaceRoot, env.Payload); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// signers tells whose signatures an envelope carries, as the root itself names
// them.
func signers(env *link.Envelope, r *link.Root) []string {
	out := []string{}
	for _, id := range validKeys(env) {
		who := ownerOf(r, id)
		switch {
		case who == "":
			who = "(no person of this root)"
		case slices.Contains(roleOf(r, link.RoleRoot).KeyIDs, id):
			who += ", recovery key"
		}
		out = append(out, id+" "+who)
	}
	return out
}

// ownerOf is the person whose key this is, "" for nobody.
func ownerOf(r *link.Root, id string) string {
	for _, p := range r.Persons {
		if slices.ContainsFunc(p.Keys, func(k string) bool { return keyIDOf(k) == id }) {
			return p.ID.String()
		}
	}
	return ""
}

func tellJudgement(w io.Writer, j *judgement) {
	line := func(format string, args ...any) { _, _ = fmt.Fprintln(w, printable(fmt.Sprintf(format, args...))) }
	line("trust root %d, sha256 %s, short code %s", j.Version, j.Hash, j.Code)
	for _, r := range j.Roles {
		line("%s, needs %s", r.By, r.Need)
		for _, s := range r.Signed {
			line("  signed   %s", s)
		}
		for _, m := range r.Missing {
			line("  missing  %s", m)
		}
	}
	switch {
	case !j.Takes:
		line("A device that has version %d would NOT take it: %s", j.From, j.Problem)
		return
	case j.Wait != "":
		line("A device that has version %d would take it after showing it for %s: the policy role has not signed.", j.From, j.Wait)
	default:
		line("A device that has version %d would take it at once.", j.From)
	}
	if !j.Logged {
		line("Not checked: that it is in the log. The server adds that proof when the root is published.")
	}
}

package link

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/crypto/ssh"
	"golang.org/x/mod/semver"
	"golang.org/x/mod/sumdb/note"

	"github.com/interlock-security/interlock/core"
)

// Limits of a trust root.
const (
	maxPersons       = 128
	maxKeysPerPerson = 16
	maxCAPins        = 8
	maxServers       = 16
	maxName          = 200
	// minQuorumPersons is how many persons two-person rules need: two to
	// approve and one to ask, who never counts (F22).
	minQuorumPersons = 3
	minReleaseDelay  = 60
	minRecoveryDelay = 3600
	maxDelay         = 30 * 24 * 3600
)

// PersonRoles are the roles that persons hold; every root has each once.
var PersonRoles = []RoleName{RoleRoot, RoleRelease, RoleDestroy, RolePolicy, RoleAgentRelease}

// DecodeRoot reads a trust root strictly and checks that it makes sense by
// itself. It says nothing of who signed it: see [NewTrust].
func DecodeRoot(payload []byte) (*Root, error) {
	t, err := resolve(payload)
	if err != nil {
		return nil, err
	}
	return t.root, nil
}

// EncodeRoot makes the bytes that root keys sign, and refuses a root that no
// device would take.
func EncodeRoot(r *Root) ([]byte, error) {
	b, err := encodePayload("link.EncodeRoot", r)
	if err != nil {
		return nil, err
	}
	if _, err := resolve(b); err != nil {
		return nil, err
	}
	return b, nil
}

func rootError(format string, args ...any) error {
	return core.E(core.KindInvalid, "link.DecodeRoot", fmt.Sprintf(format, args...))
}

// resolve decodes a root and looks up what its text names.
func resolve(payload []byte) (*Trust, error) {
	if len(payload) > MaxPayload {
		return nil, core.E(core.KindTooLarge, "link.DecodeRoot", fmt.Sprintf("%d bytes, at most %d are allowed", len(payload), MaxPayload))
	}
	r := new(Root)
	if err := DecodeStrict(payload, r); err != nil {
		return nil, fmt.Errorf("link.DecodeRoot: %w", err)
	}
	t := &Trust{root: r, keys: map[string]core.PersonID{}, roles: map[RoleName]*Role{}, offline: map[string]bool{}}
	for _, step := range []func(*Root) error{t.head, t.persons, t.rolesOf, t.servers, t.logOf, t.places} {
		if err := step(r); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *Trust) head(r *Root) error {
	switch {
	case r.V != 1:
		return rootError("version %d of the format, known is 1", r.V)
	case r.Installation == "" || len(r.Installation) > maxName || !plain(r.Installation):
		return rootError("installation %q is empty, too long or not plain text", clip(r.Installation))
	case r.Tenant.IsZero():
		return rootError("there is no tenant")
	case r.Version == 0:
		return rootError("versions begin at 1")
	case r.Mode != ModeQuorum && r.Mode != ModeSingleOperator:
		return rootError("mode %q; known are %s and %s", clip(string(r.Mode)), ModeQuorum, ModeSingleOperator)
	case r.Issued <= 0 || r.ReviewBy <= r.Issued:
		return rootError("review_by must be after issued, and both after 1970")
	case r.ReleaseDelay < minReleaseDelay || r.ReleaseDelay > maxDelay:
		return rootError("release_delay of %d s; allowed are %d to %d", r.ReleaseDelay, minReleaseDelay, maxDelay)
	case r.RecoveryDelay < minRecoveryDelay || r.RecoveryDelay > maxDelay:
		return rootError("recovery_delay of %d s; allowed are %d to %d", r.RecoveryDelay, minRecoveryDelay, maxDelay)
	}
	return nil
}

// plain reports whether s prints as it reads: no control, format or
// direction characters.
func plain(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

func (t *Trust) persons(r *Root) error {
	least := 1
	if r.Mode == ModeQuorum {
		least = minQuorumPersons
	}
	if n := len(r.Persons); n < least || n > maxPersons {
		return rootError("%d persons; mode %s takes %d to %d", n, r.Mode, least, maxPersons)
	}
	seen := map[core.PersonID]bool{}
	for _, p := range r.Persons {
		if p.ID.IsZero() || seen[p.ID] {
			return rootError("person %q stands twice or has no id", p.ID)
		}
		seen[p.ID] = true
		if p.Name == "" || len(p.Name) > maxName || !plain(p.Name) {
			return rootError("person %s: name %q is empty, too long or not plain text", p.ID, clip(p.Name))
		}
		if len(p.Keys) == 0 || len(p.Keys) > maxKeysPerPerson {
			return rootError("person %s has %d keys; 1 to %d are allowed", p.ID, len(p.Keys), maxKeysPerPerson)
		}
		for _, text := range p.Keys {
			if err := t.personKey(p.ID, text); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *Trust) personKey(id core.PersonID, text string) error {
	key, err := ParseAuthorizedKey(text)
	if err != nil {
		return fmt.Errorf("link.DecodeRoot: person %s: %w", id, err)
	}
	if owner, taken := t.keys[KeyID(key)]; taken {
		return rootError("key %s stands for %s and for %s; a key has one person", KeyID(key), owner, id)
	}
	t.keys[KeyID(key)] = id
	return nil
}

func (t *Trust) rolesOf(r *Root) error {
	for i := range r.Roles {
		role := &r.Roles[i]
		if !slices.Contains(PersonRoles, role.Name) {
			return rootError("role %q is not one of %v", clip(string(role.Name)), PersonRoles)
		}
		if t.roles[role.Name] != nil {
			return rootError("role %s stands twice", role.Name)
		}
		t.roles[role.Name] = role
	}
	for _, name := range PersonRoles {
		if t.roles[name] == nil {
			return rootError("role %s is missing", name)
		}
	}
	if len(t.roles[RoleRoot].KeyIDs) == 0 {
		return rootError("the root role must name its keys in keyids: they are the offline recovery keys")
	}
	for _, id := range t.roles[RoleRoot].KeyIDs {
		t.offline[id] = true
	}
	for _, name := range PersonRoles {
		if err := t.role(t.roles[name]); err != nil {
			return err
		}
	}
	return nil
}

// role checks that the role can be filled: enough members hold enough keys that
// count in it.
func (t *Trust) role(role *Role) error {
	members := map[core.PersonID]bool{}
	for _, m := range role.Members {
		known := slices.ContainsFunc(t.root.Persons, func(p Person) bool { return p.ID == m })
		if members[m] || !known {
			return rootError("role %s: member %q stands twice or is nobody in persons", role.Name, m)
		}
		members[m] = true
	}
	seen := map[string]bool{}
	for _, id := range role.KeyIDs {
		if seen[id] || !members[t.keys[id]] {
			return rootError("role %s: key %q stands twice or is no member's", role.Name, clip(id))
		}
		if seen[id] = true; role.Name != RoleRoot && t.offline[id] {
			return rootError("role %s: key %s is of the root role and counts in no other", role.Name, id)
		}
	}
	return t.fillable(role)
}

func (t *Trust) fillable(role *Role) error {
	least := 1
	if t.root.Mode == ModeQuorum {
		least = 2
	}
	holders, keys := map[core.PersonID]bool{}, 0
	for id, person := range t.keys {
		if t.counts(role, id) {
			holders[person] = true
			keys++
		}
	}
	switch {
	case role.Threshold < least || role.Threshold > len(holders):
		return rootError("role %s: threshold %d; mode %s takes %d to the %d persons who hold a key for it", role.Name, role.Threshold, t.root.Mode, least, len(holders))
	case role.KeysThreshold < 0 || role.KeysThreshold > keys:
		return rootError("role %s: keys_threshold %d, there are %d keys for it", role.Name, role.KeysThreshold, keys)
	}
	return nil
}

// counts reports whether a person's key may speak in a role.
func (t *Trust) counts(role *Role, keyID string) bool {
	person, known := t.keys[keyID]
	if !known || !slices.Contains(role.Members, person) {
		return false
	}
	if role.Name == RoleRoot || len(role.KeyIDs) > 0 {
		return slices.Contains(role.KeyIDs, keyID)
	}
	return !t.offline[keyID]
}

// servers checks the two server keys. They are nobody's and they differ, so a
// server key never counts towards a threshold.
func (t *Trust) servers(r *Root) (err error) {
	if t.command, err = t.serverKey("command_key", r.CommandKey); err != nil {
		return err
	}
	if t.stop, err = t.serverKey("stop_key", r.StopKey); err != nil {
		return err
	}
	if sameKey(t.command, t.stop) {
		return rootError("command_key and stop_key are the same key")
	}
	return nil
}

func (t *Trust) serverKey(field, text string) (ssh.PublicKey, error) {
	key, err := ParseAuthorizedKey(text)
	if err != nil {
		return nil, fmt.Errorf("link.DecodeRoot: %s: %w", field, err)
	}
	if person, taken := t.keys[KeyID(key)]; taken {
		return nil, rootError("%s is a key of person %s; a server is not a person", field, person)
	}
	if isSecurityKey(key) {
		return nil, rootError("%s is a security key; nobody touches a server", field)
	}
	return key, nil
}

// logOf checks the log key and the witness policy, and that no Ed25519 key has
// two offices: the server must not be its own witness, nor a person's key the
// log's.
func (t *Trust) logOf(r *Root) error {
	key, err := parseVkey(r.LogKey, vkeyEd25519)
	if err != nil {
		return fmt.Errorf("link.DecodeRoot: log_key: %w", err)
	}
	if t.log, err = note.NewVerifier(r.LogKey); err != nil {
		return rootError("log_key: %v", err)
	}
	if t.log.Name() != r.LogOrigin {
		return rootError("log_origin is %q, log_key is of %q", clip(r.LogOrigin), clip(t.log.Name()))
	}
	if t.witness, err = parseWitnessPolicy(r.Witness); err != nil {
		return fmt.Errorf("link.DecodeRoot: %w", err)
	}
	offices := [][]byte{key}
	if t.witness != nil {
		offices = append(offices, t.witness.keys...)
	}
	for i, raw := range offices {
		if i > 0 && slices.Equal(raw, key) {
			return rootError("the log key is also a witness's")
		}
		if who := t.holder(raw); who != "" {
			return rootError("a key of the log or of a witness is also %s", who)
		}
	}
	return nil
}

// holder says who else holds a raw Ed25519 key.
func (t *Trust) holder(raw []byte) string {
	key, err := ssh.NewPublicKey(ed25519.PublicKey(raw))
	if err != nil {
		return "malformed"
	}
	id := KeyID(key)
	switch {
	case t.keys[id].String() != "":
		return "a key of person " + t.keys[id].String()
	case id == KeyID(t.command):
		return "command_key"
	case id == KeyID(t.stop):
		return "stop_key"
	}
	return ""
}

func (t *Trust) places(r *Root) error {
	if n := len(r.CAPins); n == 0 || n > maxCAPins {
		return rootError("%d ca_pins; 1 to %d are allowed", n, maxCAPins)
	}
	for i, pin := range r.CAPins {
		if !isHex(pin, 32) || slices.Contains(r.CAPins[:i], pin) {
			return rootError("ca_pins[%d]: %q is not a SHA-256 in lower-case hex, or stands twice", i, clip(pin))
		}
	}
	if err := checkServers(r.Servers); err != nil {
		return rootError("%v", err)
	}
	if r.MinAgent != "" && !isVersion(r.MinAgent) {
		return rootError("min_agent %q is not a version like 1.2.3", clip(r.MinAgent))
	}
	return nil
}

func checkServers(servers []string) error {
	if len(servers) > maxServers {
		return fmt.Errorf("%d servers, at most %d are allowed", len(servers), maxServers)
	}
	for i, s := range servers {
		host, port, err := net.SplitHostPort(s)
		n, atoi := strconv.Atoi(port)
		if err != nil || atoi != nil || strconv.Itoa(n) != port || n < 1 || n > 65535 || host == "" || len(s) > maxName || !plain(s) || slices.Contains(servers[:i], s) {
			return fmt.Errorf("servers[%d]: %q is not host:port, or stands twice", i, clip(s))
		}
	}
	return nil
}

// isHex reports whether s is n bytes in lower-case hex.
func isHex(s string, n int) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == n && strings.ToLower(s) == s
}

// isVersion takes 1.2.3 and 1.2.3-rc.1, without a leading v.
func isVersion(s string) bool {
	return len(s) <= 64 && semver.IsValid("v"+s) && semver.Canonical("v"+s) == "v"+s
}

func compareVersions(a, b string) int { return semver.Compare("v"+a, "v"+b) }

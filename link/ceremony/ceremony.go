// Package ceremony makes an installation's first trust root and the keys of its
// people, and reads them back for the verbs that sign: `interlock root` and
// `interlock approve`. Nothing else opens them; the server never does.
//
// What it writes lies in a folder of its own in the user's configuration
// directory, outside the server's data directory:
//
//	root.json              the trust root, signed by its recovery keys
//	sheet.txt              what to print: hash, short code, who holds what
//	keys/<person>          OpenSSH private key for approvals, and .pub
//	recovery/recovery-<n>  OpenSSH private keys of the root role, and .pub
//
// The model behind the keys: thresholds count persons (TRUST F01). A recovery
// key therefore belongs to a person, and only the root role names recovery keys,
// so they count in no other. Three or more persons make mode quorum: each has
// one recovery key and two persons are needed for everything away from safety.
// Fewer make mode single-operator (F22): there the root role wants one person,
// but two of the three recovery keys, so that one stolen sheet of paper is not
// enough and one lost sheet is no disaster.
package ceremony

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

const (
	rootFile    = "root.json"
	sheetFile   = "sheet.txt"
	keysDir     = "keys"
	recoveryDir = "recovery"
	pastDir     = "past"

	// minRecovery is how many recovery keys there are at least, and
	// recoveryNeeded how many of them sign a trust root.
	minRecovery    = 3
	recoveryNeeded = 2
	quorumPersons  = 3

	defaultReleaseDelay  = 10 * time.Minute
	defaultRecoveryDelay = 72 * time.Hour
	defaultReview        = 365 * 24 * time.Hour
)

// Person is a human who will hold keys.
type Person struct {
	ID   core.PersonID
	Name string
	// Keys are public keys that the person has already, for example of a
	// hardware key (ed25519-sk), in authorized_keys form. Where there are none
	// a key is made.
	Keys []string
}

// Options say what the first trust root names.
type Options struct {
	Dir          string // does not exist yet, or is empty
	Installation string // "": random
	Tenant       core.TenantID
	Persons      []Person // none: one person, "owner"
	Now          time.Time
	CommandKey   string // authorized_keys form
	StopKey      string // authorized_keys form
	LogKey       string // vkey
	LogOrigin    string
	Witness      string // C2SP tlog-policy, "": unwitnessed
	CAPins       []string
	Servers      []string
	MinAgent     string
	// ReleaseDelay, RecoveryDelay and ReviewAfter are 10 minutes, 72 hours
	// and one year where they are zero.
	ReleaseDelay  time.Duration
	RecoveryDelay time.Duration
	ReviewAfter   time.Duration
}

// Installation is what the ceremony made.
type Installation struct {
	Root     []byte // envelope
	RootHash string // SHA-256, hex, of the payload
	Code     string // short code of the payload
	Sheet    string
}

// madeKey is a key pair and where it belongs.
type madeKey struct {
	dir, name string
	owner     core.PersonID
	private   ed25519.PrivateKey
	public    string // authorized_keys form
	id        string
}

// NewInstallation holds the ceremony. The folder appears whole or not at all,
// also when the machine dies meanwhile, and one that holds anything is never
// touched: its keys may be the only ones.
func NewInstallation(o Options) (*Installation, error) {
	const op = "ceremony.NewInstallation"
	if err := vacant(o.Dir); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	root, made, err := o.draw()
	if err != nil {
		return nil, err
	}
	inst, err := sign(root, made)
	if err != nil {
		return nil, err
	}
	parent := filepath.Dir(filepath.Clean(o.Dir))
	if err := atomicfile.MkdirAll(parent, 0o700); err != nil {
		return nil, core.Wrap(core.KindUnavailable, op, err)
	}
	scratch, err := os.MkdirTemp(parent, "."+filepath.Base(o.Dir)+".new-")
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, op, err)
	}
	err = publish(scratch, o.Dir, inst, made)
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, op, errors.Join(err, os.RemoveAll(scratch)))
	}
	return inst, nil
}

// vacant refuses a folder that holds anything.
func vacant(dir string) error {
	if dir == "" {
		return core.E(core.KindInvalid, "ceremony.NewInstallation", "there is no folder to write to")
	}
	names, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return core.Wrap(core.KindUnavailable, "ceremony.NewInstallation", err)
	case len(names) > 0:
		return core.E(core.KindConflict, "ceremony.NewInstallation", fmt.Sprintf("%s holds %d entries already; it may hold the only keys of an installation", dir, len(names))).WithHint("name another folder; to change an installation use `interlock root sign`")
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Installation == "" {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails since Go 1.24
		o.Installation = "installation-" + hex.EncodeToString(b[:])
	}
	if len(o.Persons) == 0 {
		o.Persons = []Person{{ID: core.MustID[core.PersonID]("owner"), Name: "Owner"}}
	}
	for _, d := range []struct {
		at    *time.Duration
		value time.Duration
	}{{&o.ReleaseDelay, defaultReleaseDelay}, {&o.RecoveryDelay, defaultRecoveryDelay}, {&o.ReviewAfter, defaultReview}} {
		if *d.at == 0 {
			*d.at = d.value
		}
	}
	return o
}

// draw makes the keys and the document.
func (o Options) draw() (*link.Root, []madeKey, error) {
	root := &link.Root{
		V: 1, Installation: o.Installation, Tenant: o.Tenant, Version: 1, Mode: link.ModeSingleOperator,
		Issued: o.Now.UnixMicro(), ReviewBy: o.Now.Add(o.ReviewAfter).UnixMicro(),
		CommandKey: o.CommandKey, StopKey: o.StopKey, LogKey: o.LogKey, LogOrigin: o.LogOrigin, Witness: o.Witness,
		CAPins: o.CAPins, Servers: o.Servers, MinAgent: o.MinAgent,
		ReleaseDelay: int64(o.ReleaseDelay / time.Second), RecoveryDelay: int64(o.RecoveryDelay / time.Second),
	}
	threshold := 1
	if len(o.Persons) >= quorumPersons {
		root.Mode, threshold = link.ModeQuorum, 2
	}
	made, err := o.makeKeys()
	if err != nil {
		return nil, nil, err
	}
	var members []core.PersonID
	for _, p := range o.Persons {
		keys := append([]string(nil), p.Keys...)
		for _, k := range made {
			if k.owner == p.ID {
				keys = append(keys, k.public)
			}
		}
		root.Persons = append(root.Persons, link.Person{ID: p.ID, Name: p.Name, Keys: keys})
		members = append(members, p.ID)
	}
	for _, name := range link.PersonRoles {
		role := link.Role{Name: name, Threshold: threshold, Members: members}
		if name == link.RoleRoot {
			role.KeyIDs, role.KeysThreshold = recoveryIDs(made), recoveryNeeded
		}
		root.Roles = append(root.Roles, role)
	}
	return root, made, nil
}

func (o Options) makeKeys() ([]madeKey, error) {
	var made []madeKey
	add := func(dir, name string, owner core.PersonID) error {
		k, err := newKey(dir, name, owner)
		made = append(made, k)
		return err
	}
	for _, p := range o.Persons {
		if len(p.Keys) == 0 {
			if err := add(keysDir, p.ID.String(), p.ID); err != nil {
				return nil, err
			}
		}
	}
	for i := range max(minRecovery, len(o.Persons)) {
		if err := add(recoveryDir, fmt.Sprintf("recovery-%d", i+1), o.Persons[i%len(o.Persons)].ID); err != nil {
			return nil, err
		}
	}
	return made, nil
}

func newKey(dir, name string, owner core.PersonID) (madeKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return madeKey{}, core.Wrap(core.KindUnavailable, "ceremony.newKey", err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return madeKey{}, core.Wrap(core.KindInternal, "ceremony.newKey", err)
	}
	return madeKey{dir, name, owner, private, link.AuthorizedKey(key), link.KeyID(key)}, nil
}

func recoveryIDs(made []madeKey) []string {
	var out []string
	for _, k := range made {
		if k.dir == recoveryDir {
			out = append(out, k.id)
		}
	}
	return out
}

// sign seals the root with every key that was made: the recovery keys make it
// valid, the everyday keys show that they work.
func sign(root *link.Root, made []madeKey) (*Installation, error) {
	payload, err := link.EncodeRoot(root)
	if err != nil {
		return nil, err
	}
	var signers []link.Signer
	for _, k := range made {
		s, err := link.NewCryptoSigner(k.private)
		if err != nil {
			return nil, err
		}
		signers = append(signers, s)
	}
	env, err := link.SealEnvelope(link.NamespaceRoot, payload, signers...)
	if err != nil {
		return nil, err
	}
	b, err := env.Encode()
	if err != nil {
		return nil, err
	}
	hash := link.BatchHash(payload)
	inst := &Installation{Root: b, RootHash: hex.EncodeToString(hash[:]), Code: link.ShortCode(payload)}
	if _, err := link.NewTrust(b, inst.RootHash); err != nil {
		return nil, err
	}
	inst.Sheet = sheet(root, made, inst)
	return inst, nil
}

// publish writes everything into the scratch folder, reads it back and moves
// the folder into place in one step.
func publish(scratch, dir string, inst *Installation, made []madeKey) error {
	for _, sub := range []string{keysDir, recoveryDir} {
		if err := atomicfile.MkdirAll(filepath.Join(scratch, sub), 0o700); err != nil {
			return err
		}
	}
	for _, k := range made {
		if err := k.write(scratch); err != nil {
			return err
		}
	}
	if err := atomicfile.WriteFile(filepath.Join(scratch, sheetFile), []byte(inst.Sheet), 0o600); err != nil {
		return err
	}
	if err := atomicfile.WriteFile(filepath.Join(scratch, rootFile), inst.Root, 0o600); err != nil {
		return err
	}
	if err := readBack(scratch, inst, made); err != nil {
		return fmt.Errorf("what was written does not read back: %w", err)
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) { // only an empty folder goes
		return err
	}
	if err := os.Rename(scratch, dir); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(filepath.Clean(dir)))
}

func (k madeKey) write(base string) error {
	block, err := ssh.MarshalPrivateKey(k.private, "interlock "+k.name)
	if err != nil {
		return err
	}
	path := filepath.Join(base, k.dir, k.name)
	if err := atomicfile.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		return err
	}
	return atomicfile.WriteFile(path+".pub", []byte(k.public+"\n"), 0o600)
}

// readBack proves that the files can do what the ceremony promises: a root
// that verifies and keys that are the ones in it.
func readBack(dir string, inst *Installation, made []madeKey) error {
	t, err := LoadTrust(dir)
	if err != nil {
		return err
	}
	if t.Hash() != inst.RootHash {
		return core.E(core.KindDamaged, "ceremony.readBack", "the trust root on disk is another one")
	}
	for _, k := range made {
		s, err := LoadSigner(filepath.Join(dir, k.dir, k.name))
		if err != nil {
			return err
		}
		if owner, known := t.Person(link.KeyID(s.PublicKey())); !known || owner != k.owner {
			return core.E(core.KindDamaged, "ceremony.readBack", fmt.Sprintf("key %s is not %s's in the trust root", k.name, k.owner))
		}
	}
	return nil
}

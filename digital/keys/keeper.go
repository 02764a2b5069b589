package keys

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/digital/pki"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

// Options are what a keys process is told at its start.
type Options struct {
	Policy Evaluator // required
	Clock  core.Clock
	Log    *slog.Logger
	Limits Limits
	// Name stands in the subjects of the CA, for people.
	Name      string
	Lifetimes pki.Lifetimes

	memoryLocked bool
}

// Limits are caps of keys' own, behind those of the Guard: what a captured serve
// can do in an hour. Zero fields take the default.
type Limits struct {
	Orders       int // orders signed in an hour
	ActorDevices int // devices that one actor contains in an hour
	Devices      int // devices that all actors contain in an hour
}

// DefaultLimits lie above what the Guard allows without its cap being lifted.
var DefaultLimits = Limits{Orders: 1000, ActorDevices: 100, Devices: 300}

func (o Options) withDefaults() (Options, error) {
	if o.Policy == nil {
		return o, core.E(core.KindInternal, "keys.Serve", "there is no policy")
	}
	if o.Clock == nil {
		o.Clock = core.SystemClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Name == "" {
		o.Name = "Interlock"
	}
	for _, f := range []struct {
		have *int
		want int
	}{{&o.Limits.Orders, DefaultLimits.Orders}, {&o.Limits.ActorDevices, DefaultLimits.ActorDevices}, {&o.Limits.Devices, DefaultLimits.Devices}} {
		if *f.have <= 0 {
			*f.have = f.want
		}
	}
	return o, nil
}

// keeper holds the keys and answers one request at a time.
type keeper struct {
	dir    string
	o      Options
	host   *crypt.Keyring
	vault  *crypt.Keyring // nil while sealed
	ca     *pki.Authority // nil while sealed
	order  link.Signer
	trust  *link.Trust // nil before the ceremony
	ledger *ledger
}

// The files beside those of the keyrings, and the contexts they are sealed for.
const (
	fileOrder   = "order.key"
	fileRoot    = "root.sealed"
	fileWaiting = "root-waiting.sealed"
	maxOwnFile  = 256 << 10

	contextOrder   = "keys/order"
	contextRoot    = "keys/root"
	contextWaiting = "keys/root-waiting"
)

func openKeeper(ctx context.Context, dir string, o Options) (*keeper, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	k := &keeper{dir: dir, o: o}
	if err := k.open(ctx); err != nil {
		k.close()
		return nil, err
	}
	return k, nil
}

func (k *keeper) open(ctx context.Context) (err error) {
	if k.host, err = crypt.OpenHost(k.dir); err != nil {
		return err
	}
	if k.ledger, err = openLedger(filepath.Join(k.dir, "ledger"), k.o.Clock); err != nil {
		return err
	}
	if err := k.loadOrderKey(); err != nil {
		return err
	}
	if err := k.loadRoot(); err != nil {
		return err
	}
	return k.openVault(ctx)
}

func (k *keeper) close() {
	if k.ca != nil {
		k.ca.Close()
	}
	for _, ring := range []*crypt.Keyring{k.vault, k.host} {
		if ring != nil {
			ring.Wipe()
		}
	}
	if k.ledger != nil {
		if err := k.ledger.close(); err != nil {
			k.o.Log.Error("closing the ledger", slog.Any("error", err))
		}
	}
}

// openVault opens the vault with its key file. Where there is none, or the seal
// is another, the vault stays sealed and everything else works (TRUST F13).
func (k *keeper) openVault(ctx context.Context) error {
	ring, err := crypt.OpenVault(k.dir)
	switch core.KindOf(err) {
	case core.KindNotFound, core.KindConflict:
		if err != nil {
			k.o.Log.Warn("the vault is sealed", slog.Any("why", err.Error()))
			return nil
		}
	}
	if err != nil {
		return err
	}
	return k.openAuthority(ctx, ring)
}

func (k *keeper) openAuthority(ctx context.Context, ring *crypt.Keyring) error {
	ca, err := pki.Open(ctx, pki.Config{
		Dir: k.caDir(), Sealer: ring, Recorder: k.ledger, Clock: k.o.Clock, Lifetimes: k.o.Lifetimes, Name: k.o.Name,
	})
	if err != nil {
		ring.Wipe()
		return err
	}
	k.vault, k.ca = ring, ca
	return nil
}

func (k *keeper) caDir() string { return filepath.Join(k.dir, "ca") }

// loadOrderKey reads the order-signing key and makes it on first use.
func (k *keeper) loadOrderKey() error {
	const op = "keys.loadOrderKey"
	seed, err := k.readSealed(fileOrder, contextOrder)
	if errors.Is(err, fs.ErrNotExist) {
		seed = make([]byte, ed25519.SeedSize)
		_, _ = rand.Read(seed)
		err = k.writeSealed(fileOrder, seed, contextOrder)
	}
	if err != nil {
		return err
	}
	defer clear(seed)
	if len(seed) != ed25519.SeedSize {
		return core.E(core.KindDamaged, op, fmt.Sprintf("the order key has %d bytes", len(seed)))
	}
	k.order, err = link.NewCryptoSigner(ed25519.NewKeyFromSeed(seed))
	return err
}

// loadRoot reads the adopted trust root, if there is one. It was verified when
// it was adopted and is verified again.
func (k *keeper) loadRoot() error {
	envelope, err := k.readSealed(fileRoot, contextRoot)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	k.trust, err = firstTrust(envelope)
	return err
}

// firstTrust takes a root on its own word.
func firstTrust(envelope []byte) (*link.Trust, error) {
	env, err := link.ParseEnvelope(envelope)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(env.Payload)
	return link.NewTrust(envelope, hex.EncodeToString(sum[:]))
}

func (k *keeper) readSealed(name, context string) ([]byte, error) {
	path := filepath.Join(k.dir, name)
	info, err := os.Stat(path)
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "keys.readSealed", err)
	}
	if info.Size() > maxOwnFile {
		return nil, core.E(core.KindTooLarge, "keys.readSealed", fmt.Sprintf("%s has %d bytes, at most %d are read", path, info.Size(), maxOwnFile))
	}
	sealed, err := os.ReadFile(path)
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "keys.readSealed", err)
	}
	plain, err := k.host.Open(sealed, context)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return plain, nil
}

func (k *keeper) writeSealed(name string, plain []byte, context string) error {
	sealed, err := k.host.Seal(plain, context)
	if err != nil {
		return err
	}
	return core.Wrap(core.KindUnavailable, "keys.writeSealed", atomicfile.WriteFile(filepath.Join(k.dir, name), sealed, 0o600))
}

package app

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/mod/sumdb/note"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/identity"
	"github.com/interlock-security/interlock/platform/atomicfile"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/jobs"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/response/incident"
	"github.com/interlock-security/interlock/response/playbook"
	"github.com/interlock-security/interlock/scanning/lifecycle"
	"github.com/interlock-security/interlock/siem/alert"
	"github.com/interlock-security/interlock/siem/baseline"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/detect/tuning"
)

// foundation is what everything else stands on: keys that open unattended, the
// two databases, the journal and the audit log.
type foundation struct {
	keys   *hostKeys
	state  *store.DB
	raw    *store.DB
	frames *journal.Raw
	log    *audit.Log
	outbox *audit.Outbox
	// successions says who may begin a new log after damage.
	successions *successions
}

func openFoundation(ctx context.Context, cfg Config, paths Paths, clock core.Clock, logger *slog.Logger) (_ *foundation, err error) {
	if err := atomicfile.MkdirAll(paths.Dir, 0o700); err != nil {
		return nil, err
	}
	if err := httpd.LetThrough(paths.Dir, cfg.Listen.Group); err != nil {
		return nil, err
	}
	f := new(foundation)
	defer func() {
		if err != nil {
			_ = f.close()
		}
	}()
	if f.keys, err = openHostKeys(paths.Host()); err != nil {
		return nil, fmt.Errorf("host keyring: %w", err)
	}
	if err := f.openDatabases(ctx, cfg, paths, clock); err != nil {
		return nil, err
	}
	if f.log, err = f.openLog(ctx, cfg, paths, clock, logger); err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	f.outbox = audit.NewOutbox(f.state, f.log)
	return f, nil
}

func (f *foundation) openDatabases(ctx context.Context, cfg Config, paths Paths, clock core.Clock) (err error) {
	state := store.Config{Driver: cfg.Store.Driver, DSN: string(cfg.Store.DSN), Path: paths.State(), Key: f.keys.database}
	if f.state, err = store.Open(ctx, state); err != nil {
		return fmt.Errorf("state database: %w", err)
	}
	err = f.state.Migrate(ctx, journal.Migrations(), jobs.Migrations(), audit.Migrations(), fleet.Migrations(), identity.Migrations(), alert.Migrations(),
		detect.Migrations(), tuning.Migrations(), baseline.Migrations(), incident.Migrations(), playbook.Migrations(), lifecycle.Migrations(), Migrations())
	if err != nil {
		return fmt.Errorf("state database: %w", err)
	}
	raw := state
	raw.Path = paths.Journal()
	if f.raw, err = store.Open(ctx, raw); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if err := f.raw.Migrate(ctx, journal.RawMigrations()); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	f.frames, err = journal.OpenRaw(ctx, f.raw, journal.RawOptions{Clock: clock, State: f.state})
	return err
}

func (f *foundation) openLog(ctx context.Context, cfg Config, paths Paths, clock core.Clock, logger *slog.Logger) (*audit.Log, error) {
	known, err := knownCheckpoints(ctx, f.state, cfg.Tenant)
	if err != nil {
		return nil, err
	}
	past, err := fleet.RootHistory(ctx, f.state, cfg.Tenant, clock.Now())
	if err != nil {
		return nil, err
	}
	f.successions = &successions{past: past}
	return audit.Open(ctx, audit.Config{
		Dir: paths.Audit(), Origin: logOrigin(cfg), Seed: f.keys.log, Sealer: f.keys.ring, Clock: clock, Log: logger,
		Known: func() []audit.Checkpoint { return known }, VerifySuccession: f.successions.verify,
	})
}

// logOrigin names the log: installation, process, tenant.
func logOrigin(cfg Config) string {
	return "interlock.local/" + cfg.Installation.String() + "/serve/" + cfg.Tenant.String()
}

// logVerifier is the log's public key as a C2SP vkey, which the trust root
// carries.
func (f *foundation) logVerifier(cfg Config) (string, error) {
	public := ed25519.NewKeyFromSeed(f.keys.log.Reveal()).Public().(ed25519.PublicKey)
	return note.NewEd25519VerifierKey(logOrigin(cfg), public)
}

func (f *foundation) close() error {
	var errs []error
	if f.log != nil {
		errs = append(errs, f.log.Close())
	}
	for _, db := range []*store.DB{f.state, f.raw} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

package seal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
)

// maxUnused is how many photos of a tenant may wait to be used.
const maxUnused = 100

func photoContext(tenant core.TenantID, hash string) string {
	return "tenant/" + tenant.String() + "/photo/" + hash
}

// AddPhoto keeps a photo until an application or an inspection names it; after a
// day without either it is forgotten. The same photo again is the same photo.
func (s *Seals) AddPhoto(ctx context.Context, who core.Principal, body []byte) (Photo, error) {
	p, err := look(body)
	if err != nil {
		return Photo{}, err
	}
	p.Hash = hashOf(body)
	if _, err := s.permit(ctx, who, policy.SealInspect, ID("photo"), core.SiteID{}, p); err != nil {
		return Photo{}, err
	}
	sealed, err := s.p.Sealer.Seal(body, photoContext(who.Tenant, p.Hash))
	if err != nil {
		return Photo{}, fmt.Errorf("seal: encrypting a photo: %w", err)
	}
	return p, s.p.DB.Tx(ctx, func(tx *store.Tx) error { return s.keep(ctx, tx, who, p, sealed) })
}

func (s *Seals) keep(ctx context.Context, tx *store.Tx, who core.Principal, p Photo, sealed []byte) error {
	var waiting int
	if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM fleet_photos WHERE tenant = $1 AND used = 0`, who.Tenant).Scan(&waiting); err != nil {
		return fmt.Errorf("seal: counting photos: %w", err)
	}
	if waiting >= maxUnused {
		return core.E(core.KindTooLarge, "seal.AddPhoto", fmt.Sprintf("%d photos wait to be used", waiting)).WithHint("register or inspect with those, or wait a day: then they are forgotten")
	}
	_, err := tx.Exec(ctx, `INSERT INTO fleet_photos (tenant, hash, type, width, height, size, added, added_by, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (tenant, hash) DO NOTHING`, who.Tenant, p.Hash, p.Type, p.Width, p.Height, p.Size, micros(s.p.Clock.Now()), who.String(), sealed)
	if err != nil {
		return fmt.Errorf("seal: keeping a photo: %w", err)
	}
	return nil
}

// use marks a photo as part of the record, once: the photo of the day on which a
// seal was applied shows nothing of today, and one of another seal nothing of
// this one.
func use(ctx context.Context, tx *store.Tx, tenant core.TenantID, hash string) error {
	res, err := tx.Exec(ctx, `UPDATE fleet_photos SET used = 1 WHERE tenant = $1 AND hash = $2 AND used = 0`, tenant, hash)
	if err != nil {
		return fmt.Errorf("seal: using photo %.16s: %w", hash, err)
	}
	if n, err := res.RowsAffected(); err == nil && n == 1 {
		return nil
	}
	var known int
	if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM fleet_photos WHERE tenant = $1 AND hash = $2`, tenant, hash).Scan(&known); err != nil {
		return fmt.Errorf("seal: using photo %.16s: %w", hash, err)
	}
	if known > 0 {
		return core.E(core.KindConflict, "seal.Photo", fmt.Sprintf("photo %.16s… stands in the record already", hash)).WithHint("take a new one of the seal as it is now")
	}
	return core.E(core.KindNotFound, "seal.Photo", fmt.Sprintf("there is no photo %.16s…", hash)).WithHint("hand the photo in first")
}

func forget(ctx context.Context, tx *store.Tx, before time.Time) error {
	if _, err := tx.Exec(ctx, `DELETE FROM fleet_photos WHERE used = 0 AND added < $1`, micros(before)); err != nil {
		return fmt.Errorf("seal: forgetting photos: %w", err)
	}
	return nil
}

// Photo returns a photo to be shown: without metadata, and only if it is still
// what its hash says.
func (s *Seals) Photo(ctx context.Context, tenant core.TenantID, hash string) (kind string, body []byte, err error) {
	if !isHash(hash) {
		return "", nil, bad("%.80q is not a SHA-256 in 64 lower-case hex digits", hash)
	}
	var sealed []byte
	err = s.p.DB.View(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(ctx, `SELECT type, body FROM fleet_photos WHERE tenant = $1 AND hash = $2`, tenant, hash).Scan(&kind, &sealed)
		if errors.Is(err, sql.ErrNoRows) {
			return core.E(core.KindNotFound, "seal.Photo", fmt.Sprintf("there is no photo %.16s…", hash))
		}
		if err != nil {
			return fmt.Errorf("seal: reading photo %.16s: %w", hash, err)
		}
		return nil
	})
	if err != nil {
		return "", nil, err
	}
	whole, err := s.p.Sealer.Open(sealed, photoContext(tenant, hash))
	if err != nil {
		return "", nil, fmt.Errorf("seal: opening photo %.16s: %w", hash, err)
	}
	if hashOf(whole) != hash {
		return "", nil, core.E(core.KindDamaged, "seal.Photo", fmt.Sprintf("photo %.16s… is not what its hash says", hash))
	}
	body, err = clean(kind, whole)
	return kind, body, err
}

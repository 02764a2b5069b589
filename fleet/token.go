package fleet

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
)

// MaxTokenTTL is the longest life of an enrolment token.
const MaxTokenTTL = 7 * 24 * time.Hour

// TokenRequest asks for an enrolment token.
type TokenRequest struct {
	Tenant core.TenantID
	Site   core.SiteID
	// Device is the name that the token gives; zero leaves it to the device
	// and to the person who approves.
	Device core.DeviceID
	// Fact is the SHA-256, hex, of the one public key (SPKI) that may use the
	// token. Without it a token grants a place in the queue (F21).
	Fact string
	TTL  time.Duration
}

// Token is an enrolment token. The secret is shown once and stored nowhere.
type Token struct {
	ID      string
	Secret  core.Secret
	Expires time.Time
}

// Bearer is the text that a device presents: id and secret.
func (t Token) Bearer() core.Secret {
	return core.NewSecret([]byte(t.ID + "." + string(t.Secret.Reveal())))
}

// The states of a token.
const (
	tokenFresh   = "fresh"
	tokenUsed    = "used"
	tokenMisused = "misused"
	tokenRevoked = "revoked"
)

// CreateToken makes a token, after the Guard permitted it.
func (e *Enrolment) CreateToken(ctx context.Context, who core.Principal, r TokenRequest) (Token, error) {
	if err := r.validate(); err != nil {
		return Token{}, err
	}
	on := core.Resource{Type: "token", ID: "new", Tenant: r.Tenant, Site: r.Site, Params: tokenParams(r.Site, r.Device, r.Fact, r.TTL.String())}
	d, err := permit(ctx, e.guard, who, policy.TokenCreate, on)
	if err != nil {
		return Token{}, err
	}
	t, hash := newToken(e.reg.clock.Now().Add(r.TTL))
	err = e.reg.db.Tx(ctx, func(tx *store.Tx) error {
		now := e.reg.clock.Now()
		_, err := tx.Exec(ctx, `INSERT INTO fleet_tokens (tenant, id, hash, site, device, fact, creator, created, expires, state)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			r.Tenant, t.ID, hash, r.Site, r.Device, r.Fact, who.String(), store.Micros(now), store.Micros(t.Expires), tokenFresh)
		if err != nil {
			return fmt.Errorf("fleet: storing token %s: %w", t.ID, err)
		}
		made := row{tenant: r.Tenant, id: t.ID, hash: hash, site: r.Site, device: r.Device, fact: r.Fact, expires: t.Expires, state: tokenFresh, life: r.TTL.String()}
		return e.tokenEntry(ctx, tx, made, who.String(), "created", &d.Intent, nil)
	})
	return t, err
}

// tokenParams is what a permit to make a token is for.
func tokenParams(site core.SiteID, device core.DeviceID, fact, life string) string {
	return digest(site.String(), device.String(), fact, life)
}

func (r TokenRequest) validate() error {
	switch {
	case r.Tenant.IsZero() || r.Site.IsZero():
		return core.E(core.KindInvalid, "fleet.CreateToken", "a token needs a tenant and a site")
	case r.TTL <= 0 || r.TTL > MaxTokenTTL:
		return core.E(core.KindInvalid, "fleet.CreateToken", fmt.Sprintf("life of %s; allowed is up to %s", r.TTL, MaxTokenTTL))
	case r.Fact != "" && !isHash(r.Fact):
		return core.E(core.KindInvalid, "fleet.CreateToken", fmt.Sprintf("fact %.80q is not a SHA-256 in 64 lower-case hex digits", r.Fact))
	}
	return nil
}

func isHash(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && hex.EncodeToString(b) == s
}

func newToken(expires time.Time) (t Token, hash []byte) {
	var id [10]byte
	var secret [32]byte
	_, _ = rand.Read(id[:]) // crypto/rand.Read never fails
	_, _ = rand.Read(secret[:])
	text := []byte(base64.RawURLEncoding.EncodeToString(secret[:]))
	sum := sha256.Sum256(text)
	return Token{ID: hex.EncodeToString(id[:]), Secret: core.NewSecret(text), Expires: expires}, sum[:]
}

// row is a token as stored.
type row struct {
	tenant  core.TenantID
	id      string
	hash    []byte
	site    core.SiteID
	device  core.DeviceID
	fact    string
	expires time.Time
	state   string
	usedBy  core.DeviceID
	usedKey string
	life    string // only where it was just made
}

// findToken reads the token that a bearer text names and checks the secret in
// constant time. What is wrong with the text is said without saying which half.
func findToken(ctx context.Context, tx *store.Tx, bearer string) (row, error) {
	wrong := core.E(core.KindUnauthenticated, "fleet.Enrol", "enrolment token is not known here").
		WithHint("make a new one with: interlock token create")
	id, secret, ok := strings.Cut(bearer, ".")
	if !ok || len(id) != 20 || len(secret) > 64 {
		return row{}, wrong
	}
	t, err := scanToken(tx.QueryRow(ctx, selectToken+` WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return row{}, wrong
	}
	if err != nil {
		return row{}, fmt.Errorf("fleet: reading a token: %w", err)
	}
	if sum := sha256.Sum256([]byte(secret)); subtle.ConstantTimeCompare(sum[:], t.hash) != 1 {
		return row{}, wrong
	}
	return t, nil
}

func scanToken(s scanner) (row, error) {
	var t row
	var expires int64
	err := s.Scan(&t.tenant, &t.id, &t.hash, &t.site, &t.device, &t.fact, &expires, &t.state, &t.usedBy, &t.usedKey)
	t.expires = store.FromMicros(expires)
	return t, err
}

const selectToken = `SELECT tenant, id, hash, site, device, fact, expires, state, used_by, used_key FROM fleet_tokens`

// getToken reads one token of a tenant.
func getToken(ctx context.Context, tx *store.Tx, tenant core.TenantID, id string) (row, error) {
	t, err := scanToken(tx.QueryRow(ctx, selectToken+` WHERE tenant = $1 AND id = $2`, tenant, id))
	if errors.Is(err, sql.ErrNoRows) {
		return row{}, core.E(core.KindNotFound, "fleet.Token", fmt.Sprintf("there is no token %.40q", id))
	}
	if err != nil {
		return row{}, fmt.Errorf("fleet: reading token %.40q: %w", id, err)
	}
	return t, nil
}

// tokens reads a tenant's tokens by id, beginning after one.
func (r *Registry) tokens(ctx context.Context, tenant core.TenantID, after string) ([]row, error) {
	var list []row
	err := r.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, selectToken+` WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3`, tenant, after, MaxList)
		if err != nil {
			return fmt.Errorf("fleet: listing tokens: %w", err)
		}
		list, err = collect(rows, scanToken)
		return err
	})
	return list, err
}

func (t row) object() string { return "token/" + t.id }

// RevokeToken ends a token that was not used.
func (e *Enrolment) RevokeToken(ctx context.Context, who core.Principal, tenant core.TenantID, id string) error {
	d, err := permit(ctx, e.guard, who, policy.TokenRevoke, core.Resource{Type: "token", ID: id, Tenant: tenant})
	if err != nil {
		return err
	}
	return e.reg.db.Tx(ctx, func(tx *store.Tx) error {
		res, err := tx.Exec(ctx, `UPDATE fleet_tokens SET state = $1 WHERE tenant = $2 AND id = $3 AND state = $4`, tokenRevoked, tenant, id, tokenFresh)
		if err != nil {
			return fmt.Errorf("fleet: revoking token %s: %w", id, err)
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return core.E(core.KindConflict, "fleet.RevokeToken", fmt.Sprintf("there is no unused token %.40q", id))
		}
		t, err := getToken(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		return e.tokenEntry(ctx, tx, t, who.String(), tokenRevoked, &d.Intent, nil)
	})
}

// tokenEntry leaves the authority entry of a token as it is now.
func (e *Enrolment) tokenEntry(ctx context.Context, tx *store.Tx, t row, actor, outcome string, intent *core.Position, reason any) error {
	c := t.claim()
	c.Life = t.life
	err := e.reg.grant(ctx, tx, t.object(), c, reason, audit.Entry{Actor: actor, Action: core.Action("token." + outcome), Outcome: outcome, Intent: intent})
	if err != nil {
		return fmt.Errorf("fleet: audit of token %s: %w", t.id, err)
	}
	return nil
}

// permit asks the Guard and turns a refusal into an error.
func permit(ctx context.Context, g core.Guard, who core.Principal, action core.Action, on core.Resource) (core.Decision, error) {
	d, err := g.Permit(ctx, who, action, on)
	if err != nil {
		return core.Decision{}, fmt.Errorf("fleet: asking for %s on %s: %w", action, on, err)
	}
	return d, httpd.Refusal(d, who, action, on)
}

// digest is the Params of a Resource: the SHA-256, hex, of the parts, each with
// its length so that no two lists give the same bytes.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s,", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

package store

import (
	"context"
	"crypto/tls"
	"database/sql"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/interlock-security/interlock/core"
)

const (
	minPostgres   = 150000
	postgresConns = 16
)

func openPostgres(ctx context.Context, c Config) (*DB, error) {
	const op = "store.Open"
	conf, err := pgx.ParseConfig(c.DSN)
	if err != nil {
		// The parser's error quotes the string, and that holds a password.
		return nil, core.E(core.KindInvalid, op, "the PostgreSQL connection string cannot be read").
			WithHint("write it as host=... user=... dbname=... sslmode=verify-full")
	}
	if err := checkTransport(conf); err != nil {
		return nil, err
	}
	conf.RuntimeParams["application_name"] = "interlock"
	conf.RuntimeParams["timezone"] = "UTC"
	conns := c.MaxConns
	if conns <= 0 {
		conns = postgresConns
	}
	db := &DB{dialect: Postgres, write: newPool(conf, conns), read: newPool(conf, conns), dsn: c.DSN, patience: writerPatience}
	if err := db.assertPostgres(ctx); err != nil {
		_ = db.Close()
		return nil, err
	}
	return db, nil
}

func newPool(conf *pgx.ConnConfig, conns int) *sql.DB {
	pool := stdlib.OpenDB(*conf)
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return pool
}

// checkTransport refuses a connection that somebody on the way could read or
// answer: beyond this machine the server must prove who it is. The driver's own
// default ("prefer") falls back to plain text without a word.
func checkTransport(conf *pgx.ConnConfig) error {
	type hop struct {
		host string
		tls  *tls.Config
	}
	hops := []hop{{conf.Host, conf.TLSConfig}}
	for _, f := range conf.Fallbacks {
		hops = append(hops, hop{f.Host, f.TLSConfig})
	}
	for _, h := range hops {
		if isLocal(h.host) || verifies(h.tls) {
			continue
		}
		return core.E(core.KindInvalid, "store.Open", fmt.Sprintf("the connection to PostgreSQL at %q does not verify the server", h.host)).
			WithHint("add sslmode=verify-full and sslrootcert=... to the connection string")
	}
	return nil
}

func isLocal(host string) bool {
	if strings.HasPrefix(host, "/") || host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func verifies(c *tls.Config) bool {
	return c != nil && (!c.InsecureSkipVerify || c.VerifyPeerCertificate != nil || c.VerifyConnection != nil)
}

// assertPostgres refuses a server that says "committed" before it is so.
func (db *DB) assertPostgres(ctx context.Context) error {
	const op = "store.Open"
	var version int
	var fsync, commit, pages string
	err := db.write.QueryRowContext(ctx, `SELECT current_setting('server_version_num')::int, current_setting('fsync'),
		current_setting('synchronous_commit'), current_setting('full_page_writes')`).Scan(&version, &fsync, &commit, &pages)
	if err != nil {
		return fault(op, err)
	}
	if version < minPostgres {
		return core.E(core.KindInvalid, op, fmt.Sprintf("PostgreSQL %d is too old; 15 or later is needed", version/10000))
	}
	if fsync != "on" || commit == "off" || pages != "on" {
		return core.E(core.KindInvalid, op, fmt.Sprintf("PostgreSQL does not keep what it commits: fsync=%s synchronous_commit=%s full_page_writes=%s", fsync, commit, pages)).
			WithHint("set all three to on in postgresql.conf")
	}
	return nil
}

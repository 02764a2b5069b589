package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/siem/collect"
)

const (
	perFrame = 500
	// distinctFrames is how many frames there are to append in turn.
	distinctFrames = 16
)

func journalSQLite() trial {
	return trial{
		figures: []figure{journalFigure("journal/append/frames500")},
		open: func(ctx context.Context, dir string) (sides, error) {
			return journalAgainstRaw(ctx, dir, store.Config{Driver: "sqlite", Path: filepath.Join(dir, "journal.db"), Key: benchKey()})
		},
	}
}

func journalPostgres() trial {
	return trial{
		figures: []figure{journalFigure("journal/append/frames500/postgres")},
		open: func(ctx context.Context, dir string) (sides, error) {
			p, err := startPostgres()
			if err != nil {
				return sides{}, err
			}
			s, err := p.sides(ctx, dir)
			if err != nil {
				return sides{}, errors.Join(err, p.stop())
			}
			closeJournal := s.close
			s.close = func() error { return errors.Join(closeJournal(), p.stop()) }
			return s, nil
		},
	}
}

func (p *postgres) sides(ctx context.Context, dir string) (sides, error) {
	if err := p.ready(ctx); err != nil {
		return sides{}, err
	}
	return journalAgainstRaw(ctx, dir, p.config())
}

func journalFigure(name string) figure {
	return figure{name: name, unit: "events/s", floor: "raw/frames500", bars: []bar{{atLeast: 60_000}}}
}

// journalAgainstRaw lets one collector append frames, each when the one before
// is durable: to the journal, and compressed alike to a raw file.
func journalAgainstRaw(ctx context.Context, dir string, c store.Config) (sides, error) {
	frames, err := logFrames()
	if err != nil {
		return sides{}, err
	}
	db, err := store.Open(ctx, c)
	if err != nil {
		return sides{}, err
	}
	raw, err := newRawFile(filepath.Join(dir, "raw"))
	if err != nil {
		return sides{}, errors.Join(err, db.Close())
	}
	closeBoth := func() error { return errors.Join(db.Close(), raw.close()) }
	ours, err := journalSide(ctx, db, frames)
	if err != nil {
		return sides{}, errors.Join(err, closeBoth())
	}
	floor, err := compressedSide(raw, frames)
	if err != nil {
		return sides{}, errors.Join(err, closeBoth())
	}
	return sides{ours: ours, floor: floor, close: closeBoth}, nil
}

func logFrames() ([][][]byte, error) {
	frames := make([][][]byte, distinctFrames)
	for i := range frames {
		var err error
		if frames[i], err = records(perFrame, i); err != nil {
			return nil, err
		}
	}
	return frames, nil
}

// journalSide appends keyed frames, as the file collector and devices do: the
// journal looks each key up in the same transaction.
func journalSide(ctx context.Context, db *store.DB, frames [][][]byte) (func() ([]float64, error), error) {
	if err := db.Migrate(ctx, journal.RawMigrations()); err != nil {
		return nil, err
	}
	raw, err := journal.OpenRaw(ctx, db, journal.RawOptions{})
	if err != nil {
		return nil, err
	}
	key := journal.Key{Tenant: benchTenant, Device: collect.PeerID("file", "/var/log/auth.log"), Epoch: "bench"}
	n := uint64(0)
	return appended(func() error {
		f := journal.Frame{
			Kind: journal.KindEvents, Tenant: benchTenant, Source: logOrigin.Source, Received: time.Now(), Records: frames[n%distinctFrames],
		}
		key.First, key.Last = n*perFrame+1, (n+1)*perFrame
		key.Hash = sha256.Sum256(binary.LittleEndian.AppendUint64(nil, n))
		k := key
		f.Key = &k
		n++
		_, err := raw.Append(ctx, f)
		return err
	}), nil
}

// compressedSide compresses as the journal does and writes to a raw file.
func compressedSide(raw *rawFile, frames [][][]byte) (func() ([]float64, error), error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(true))
	if err != nil {
		return nil, err
	}
	var plain, body []byte
	n := 0
	return appended(func() error {
		plain = plain[:0]
		for _, r := range frames[n%distinctFrames] {
			plain = append(plain, r...)
		}
		n++
		body = enc.EncodeAll(plain, body[:0])
		return raw.write(body)
	}), nil
}

// appended is events a second of one writer, as a side.
func appended(write func() error) func() ([]float64, error) {
	return func() ([]float64, error) {
		rate, _, err := loop(1, func(int) error { return write() })
		return []float64{rate * perFrame}, err
	}
}

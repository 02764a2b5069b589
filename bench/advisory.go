package main

import (
	"archive/zip"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
)

// How much the trial of the advisory database is about. Only advisories of Go,
// Rust and some of Python are to be had without network, so these are generated:
// words of a made-up language in the frequencies of a real one, and packages,
// versions and ranges in the proportions of OSV's ecosystems.
const (
	manyAdvisories = 250_000
	dependencies   = 500
)

// advisoryTrial opens a database of 250 000 advisories, matches 500 dependencies,
// and weighs the file. The floors are the checksum of the same bytes, reading the
// 500 dependencies from JSON, and the zip in which OSV would publish them.
func advisoryTrial() trial {
	return trial{
		figures: []figure{
			{name: "advisory/load", unit: "cpu-ms", floor: "raw/read+sha256", bars: []bar{{atMost: 1000}}},
			{name: "advisory/match500", unit: "cpu-ms", floor: "raw/json-decode", bars: []bar{{atMost: 5}}},
			{name: "advisory/disk", unit: "MB", floor: "raw/zip", bars: []bar{{atMost: 300}, {ratio: true, atMost: 1.2}}},
		},
		open: openAdvisory,
	}
}

func openAdvisory(ctx context.Context, dir string) (sides, error) {
	g := newGenerator()
	zipped, err := g.publish(filepath.Join(dir, "all.zip"))
	if err != nil {
		return sides{}, err
	}
	s, err := advisory.Import(ctx, filepath.Join(dir, "db"), advisory.Options{}, filepath.Join(dir, "all.zip"))
	if err != nil {
		return sides{}, err
	}
	if s.Incomplete() || s.Added != manyAdvisories {
		return sides{}, fmt.Errorf("%d of %d advisories were imported; %v", s.Added, manyAdvisories, s.Problems)
	}
	db, err := advisory.Open(filepath.Join(dir, "db"))
	if err != nil {
		return sides{}, err
	}
	pkgs := g.inventory()
	list, err := json.Marshal(pkgs)
	if err != nil {
		return sides{}, err
	}
	file := filepath.Join(dir, "db", "advisories.db")
	return sides{
		ours:  func() ([]float64, error) { return advisoryOurs(db, pkgs, filepath.Dir(file)) },
		floor: func() ([]float64, error) { return advisoryFloor(list, file, zipped) },
		close: db.Close,
	}, nil
}

func advisoryOurs(db *advisory.DB, pkgs []scanning.Package, dir string) ([]float64, error) {
	load, err := used(func() error {
		again, err := advisory.Open(dir)
		if err != nil {
			return err
		}
		return again.Close()
	})
	if err != nil {
		return nil, err
	}
	match, err := spend(func() error {
		findings, gaps := db.Match(pkgs, advisory.MatchOptions{MaxAge: 100 * 365 * 24 * time.Hour})
		if len(findings) < dependencies/10 || len(gaps) > 0 {
			return fmt.Errorf("%d findings, %v: it would be measuring something else", len(findings), gaps)
		}
		return nil
	})
	return []float64{load * 1000, match * 1000, float64(db.Status().Bytes) / 1e6}, err
}

func advisoryFloor(list []byte, file string, zipped int64) ([]float64, error) {
	sum, err := used(func() error {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		_, err = io.CopyBuffer(sha256.New(), f, make([]byte, 1<<20))
		return errors.Join(err, f.Close())
	})
	if err != nil {
		return nil, err
	}
	decode, err := spend(func() error {
		var pkgs []scanning.Package
		return json.Unmarshal(list, &pkgs)
	})
	return []float64{sum * 1000, decode * 1000, float64(zipped) / 1e6}, err
}

// used is the processor time of one call in seconds.
func used(op func() error) (float64, error) {
	begin := processorTime()
	err := op()
	return (processorTime() - begin).Seconds(), err
}

// generator invents advisories, the same ones every time.
type generator struct {
	r     *rand.Rand
	zipf  *rand.Zipf
	words []string
	hits  []scanning.Package
}

func newGenerator() *generator {
	r := rand.New(rand.NewPCG(6, 6))
	g := &generator{r: r, zipf: rand.NewZipf(r, 1.1, 3, 19_999)}
	for range 20_000 {
		var w strings.Builder
		for range 1 + r.IntN(4) {
			w.WriteByte("bcdfghjklmnprstvw"[r.IntN(17)])
			w.WriteByte("aeiou"[r.IntN(5)])
		}
		g.words = append(g.words, w.String())
	}
	return g
}

// worlds are the ecosystems with their share of advisories in a hundred and how
// many packages they spread over.
var worlds = []struct {
	name            string
	share, packages int
	kind            string
}{
	{"npm", 48, 90_000, "SEMVER"},
	{"PyPI", 10, 9_000, "ECOSYSTEM"},
	{"Maven", 8, 5_000, "ECOSYSTEM"},
	{"Go", 4, 2_500, "SEMVER"},
	{"crates.io", 1, 900, "SEMVER"},
	{"NuGet", 2, 900, "ECOSYSTEM"},
	{"Packagist", 4, 2_000, "ECOSYSTEM"},
	{"RubyGems", 1, 600, "ECOSYSTEM"},
	{"Debian:12", 14, 4_000, "ECOSYSTEM"},
	{"Alpine:v3.20", 3, 1_000, "ECOSYSTEM"},
	{"Rocky Linux:9", 5, 1_200, "ECOSYSTEM"},
}

func (g *generator) sentence(words int) string {
	var b strings.Builder
	for range words {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(g.words[g.zipf.Uint64()])
	}
	return b.String()
}

func (g *generator) version() string {
	return fmt.Sprintf("%d.%d.%d", g.r.IntN(6), g.r.IntN(20), g.r.IntN(10))
}

// publish writes the advisories as OSV does and returns the zip's length.
func (g *generator) publish(path string) (int64, error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	buf := bufio.NewWriterSize(f, 1<<20)
	z := zip.NewWriter(buf)
	for i := range manyAdvisories {
		id, record := g.advisory(i)
		w, err := z.Create(id + ".json")
		if err == nil {
			err = json.NewEncoder(w).Encode(record)
		}
		if err != nil {
			return 0, errors.Join(err, f.Close())
		}
	}
	err = errors.Join(z.Close(), buf.Flush())
	info, statErr := f.Stat()
	if err = errors.Join(err, statErr, f.Close()); err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (g *generator) advisory(i int) (string, map[string]any) {
	share, at := g.r.IntN(100), 0
	for share >= worlds[at].share {
		share -= worlds[at].share
		at++
	}
	world := worlds[at]
	id := fmt.Sprintf("GEN-%04d-%06d", 2015+i%12, i)
	// A few packages have most of the advisories, as kernels and browsers do.
	n := int(float64(world.packages) * g.r.Float64() * g.r.Float64())
	name := fmt.Sprintf("%s-%s-%d", g.words[n%1000], g.words[n%7919], n)
	if world.name == "Maven" {
		name = "org." + g.words[n%1000] + ":" + name
	}
	var versions []string
	if world.name != "Go" && g.r.IntN(2) == 0 {
		for v := range g.r.IntN(60) {
			versions = append(versions, fmt.Sprintf("%d.%d.%d", v/20, v%20, g.r.IntN(2)))
		}
	}
	introduced := "0"
	if g.r.IntN(3) == 0 {
		introduced = g.version()
	}
	fixed := fmt.Sprintf("%d.%d.%d", 6+g.r.IntN(6), g.r.IntN(20), g.r.IntN(10))
	if g.r.IntN(manyAdvisories) < 8*dependencies {
		g.hits = append(g.hits, scanning.Package{Ecosystem: world.name, Name: name, Version: g.version(), File: "lockfile"})
	}
	return id, map[string]any{
		"schema_version": "1.7.0", "id": id, "aliases": []string{fmt.Sprintf("CVE-%d-%05d", 2015+i%12, i/12)},
		"modified": time.Unix(1_600_000_000+int64(g.r.IntN(1e8)), 0).UTC(), "published": time.Unix(1_500_000_000+int64(g.r.IntN(1e8)), 0).UTC(),
		"summary": g.sentence(9), "details": g.sentence(60 + g.r.IntN(140)),
		"severity":   []map[string]string{{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:" + g.letter("NR") + "/S:U/C:" + g.letter("NLH") + "/I:" + g.letter("NLH") + "/A:" + g.letter("LH")}},
		"references": []map[string]string{{"type": "WEB", "url": "https://example.com/" + name + "/commit/" + g.hex()}, {"type": "ADVISORY", "url": "https://example.com/advisories/" + id}},
		"affected": []map[string]any{{
			"package": map[string]string{"ecosystem": world.name, "name": name}, "versions": versions,
			"ranges": []map[string]any{{"type": world.kind, "events": []map[string]string{{"introduced": introduced}, {"fixed": fixed}}}},
		}},
	}
}

func (g *generator) letter(of string) string { i := g.r.IntN(len(of)); return of[i : i+1] }

func (g *generator) hex() string {
	return fmt.Sprintf("%016x%016x%08x", g.r.Uint64(), g.r.Uint64(), g.r.Uint32())
}

// inventory is 500 dependencies as a large project has them: one in ten is
// vulnerable, three in ten have advisories of older versions, and of the others
// nothing is known.
func (g *generator) inventory() []scanning.Package {
	pkgs := make([]scanning.Package, 0, dependencies)
	for i := range dependencies {
		p := scanning.Package{Ecosystem: "npm", Name: fmt.Sprint("nothing-known-of-", i), Version: g.version(), File: "lockfile"}
		if i%10 < 4 {
			p = g.hits[i]
		}
		if i%10 > 0 && i%10 < 4 {
			p.Version = "97.0.0"
		}
		pkgs = append(pkgs, p)
	}
	return pkgs
}

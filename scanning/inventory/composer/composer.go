// Package composer reads what PHP is made of: composer.lock and the list of what
// composer installed.
package composer

import (
	"context"
	"encoding/json"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

const ecosystem = "Packagist"

// Extractors are those of PHP.
func Extractors() []*extract.Extractor {
	return []*extract.Extractor{
		{
			Name: "composer/lock", Ecosystem: ecosystem, Names: []string{"composer.lock"}, Read: readLock,
			Reads: "packages and packages-dev with edges, licences and checksums; direct from the composer.json beside it",
		},
		{
			Name: "composer/installed", Ecosystem: ecosystem, Names: []string{"installed.json"}, Wants: isVendor, Read: readInstalled, Installed: true,
			Shown: []string{"vendor/composer/installed.json"}, Reads: "what composer 1 and 2 installed",
		},
		{
			Name: "composer/manifest", Ecosystem: ecosystem, Names: []string{"composer.json"}, Wants: isProject, Read: readManifest,
			Reads: "nothing but that a lockfile is missing beside it: a gap",
		},
	}
}

func isVendor(file string, _ fs.DirEntry) bool { return path.Base(path.Dir(file)) == "composer" }

// isProject leaves out the composer.json of every installed package.
func isProject(file string, _ fs.DirEntry) bool {
	return !strings.HasPrefix(file, "vendor/") && !strings.Contains(file, "/vendor/")
}

type entry struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	License texts  `json:"license"`
	Require wishes `json:"require"`
	Dist    struct {
		SHA string `json:"shasum"`
	} `json:"dist"`
}

// texts is a string or a list of strings.
type texts []string

// UnmarshalJSON never fails: a licence that is none is none.
func (t *texts) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*t = texts{one}
		return nil
	}
	_ = json.Unmarshal(data, (*[]string)(t)) // or nothing
	return nil
}

// wishes is a map of constraints; PHP writes an empty map as a list.
type wishes map[string]string

// UnmarshalJSON takes the empty list for an empty map.
func (w *wishes) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '[' {
		return nil
	}
	return json.Unmarshal(data, (*map[string]string)(w))
}

type lockfile struct {
	Packages []entry `json:"packages"`
	Dev      []entry `json:"packages-dev"`
}

type manifest struct {
	Require wishes `json:"require"`
	Dev     wishes `json:"require-dev"`
}

func readLock(_ context.Context, in *extract.Input, out *extract.Sink) error {
	data, err := in.Text()
	if err != nil {
		return err
	}
	var lock lockfile
	if err := extract.JSON(in, data, &lock); err != nil {
		return err
	}
	if lock.Packages == nil && lock.Dev == nil {
		return extract.Malformed(0, "no packages: not a lockfile of composer")
	}
	var m manifest
	if data, err := in.Other("composer.json"); err == nil {
		_ = extract.JSON(in, data, &m) // its own extractor says what is wrong
	}
	tell(lock.Packages, lock.Dev, m, out)
	return nil
}

func tell(packages, dev []entry, m manifest, out *extract.Sink) {
	versions := map[string]string{}
	for _, e := range slices.Concat(packages, dev) {
		versions[strings.ToLower(e.Name)] = e.version()
	}
	for i, list := range [][]entry{packages, dev} {
		for _, e := range list {
			name := strings.ToLower(e.Name)
			p := scanning.Package{
				Ecosystem: ecosystem, Name: name, Version: e.version(), PURL: purl(name, e.version()),
				Direct: m.Require[e.Name] != "" || m.Dev[e.Name] != "", Dev: i == 1,
				Licenses: e.License, Hashes: extract.Hex("sha1", e.Dist.SHA),
			}
			for need := range e.Require {
				if v, ok := versions[strings.ToLower(need)]; ok {
					p.Requires = append(p.Requires, purl(strings.ToLower(need), v))
				}
			}
			if p.Version == "" || strings.HasPrefix(p.Version, "dev-") {
				out.Unknown(0, name, "a branch, which has no version: "+p.Version)
				continue
			}
			out.Add(p)
		}
	}
}

func purl(name, version string) string { return extract.PURL("composer", name, version) }

// version is without the v that tags have.
func (e *entry) version() string {
	if v := strings.TrimPrefix(e.Version, "v"); v != "" && v[0] >= '0' && v[0] <= '9' {
		return v
	}
	return e.Version
}

func readInstalled(_ context.Context, in *extract.Input, out *extract.Sink) error {
	data, err := in.Text()
	if err != nil {
		return err
	}
	var two struct {
		Packages []entry  `json:"packages"`
		Dev      []string `json:"dev-package-names"`
	}
	trimmed := strings.TrimLeft(string(data[:min(len(data), 64)]), " \r\n\t")
	if strings.HasPrefix(trimmed, "[") { // composer 1
		err = extract.JSON(in, data, &two.Packages)
	} else {
		err = extract.JSON(in, data, &two)
	}
	if err != nil {
		return err
	}
	named := map[string]bool{}
	for _, name := range two.Dev {
		named[name] = true
	}
	isDev := func(e entry) bool { return named[e.Name] }
	dev := slices.DeleteFunc(slices.Clone(two.Packages), func(e entry) bool { return !isDev(e) })
	tell(slices.DeleteFunc(two.Packages, isDev), dev, manifest{}, out)
	return nil
}

func readManifest(_ context.Context, in *extract.Input, out *extract.Sink) error {
	var m manifest
	if err := in.JSON(&m); err != nil {
		return err
	}
	for _, list := range []wishes{m.Require, m.Dev} {
		for name := range list {
			if strings.Contains(name, "/") && !in.Above("composer.lock") {
				out.Gap(scanning.ReasonUnsupported, out.At(0), "no lockfile: versions unknown; make one with: composer update --no-install")
				return nil
			}
		}
	}
	return nil
}

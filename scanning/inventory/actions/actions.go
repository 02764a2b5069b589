// Package actions reads which GitHub Actions a repository's workflows use: code of
// others that runs with the repository's secrets.
package actions

import (
	"cmp"
	"context"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

const ecosystem = "GitHub Actions"

// Extractors are those of GitHub Actions.
func Extractors() []*extract.Extractor {
	return []*extract.Extractor{{
		Name: "actions/workflow", Ecosystem: ecosystem, Suffixes: []string{".yml", ".yaml"}, Wants: wants, Read: read,
		Shown: []string{".github/workflows/*.yml", ".github/workflows/*.yaml", ".github/**/action.yml"},
		Reads: "actions and reusable workflows that are used; the version is a full one, or the one in the remark behind a commit. A short tag is judged as the newest release that it may name; one by branch has none: a gap where an advisory speaks of it",
	}}
}

func wants(file string, _ fs.DirEntry) bool {
	dir := "/" + path.Dir(file) + "/"
	if strings.HasSuffix(dir, "/.github/workflows/") {
		return true
	}
	base := path.Base(file)
	return base == "action.yml" || base == "action.yaml"
}

var (
	// full is a release; v4 is a tag that moves.
	full   = regexp.MustCompile(`^v?(\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?)$`)
	remark = regexp.MustCompile(`(?:^|[\s@])v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)(?:\s|$)`)
	commit = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

func read(_ context.Context, in *extract.Input, out *extract.Sink) error {
	data, err := in.Text()
	if err != nil {
		return err
	}
	if strings.IndexByte(string(data), 0) >= 0 {
		return extract.Malformed(0, "not a text")
	}
	(&lines{out: out}).read(string(data))
	return nil
}

// tell reads owner/repository/path@ref. What stands in this repository, and
// containers, which are images, are none.
func tell(number int, spec, comment string, out *extract.Sink) {
	if strings.HasPrefix(spec, ".") || strings.HasPrefix(spec, "docker://") || strings.Contains(spec, "${{") {
		return
	}
	name, ref, ok := strings.Cut(spec, "@")
	parts := strings.Split(name, "/")
	if !ok || ref == "" || len(parts) < 2 || parts[0] == "" || parts[1] == "" {
		out.Fail(extract.Malformed(number, "no action with its version: %.80q", spec))
		return
	}
	name = parts[0] + "/" + parts[1]
	version := release(ref, comment)
	out.Add(scanning.Package{
		Ecosystem: ecosystem, Name: name, Version: version, Direct: true,
		PURL: extract.PURL("githubactions", name, cmp.Or(version, ref)),
	})
}

// release is the version that a reference is, "" where it may be any.
func release(ref, comment string) string {
	if m := full.FindStringSubmatch(ref); m != nil {
		return m[1]
	}
	if commit.MatchString(ref) {
		if m := remark.FindStringSubmatch(comment); m != nil {
			return m[1]
		}
	}
	return ""
}

// Package rules holds the rules that ship with the product, as Sigma files, and
// their tests. The files are the product's own answer to "how do I write one":
// docs/howto/new-rule.md walks through them.
//
// A rule stands with its test in one file each: x.yml and x.test. The tests run
// with `go test` here and with `interlock rules test`.
package rules

import (
	"embed"
	"io/fs"
	"sort"
	"strings"
)

//go:embed cloud identity interlock joined linux network secrets windows
var files embed.FS

// File is one rule file: its name and its text, and the address of the folder that
// its name is relative to, "" where it is published nowhere.
type File struct {
	Name string `json:"name"`
	Text string `json:"text"`
	Link string `json:"link,omitempty"`
}

// Shipped returns the rule files in the order of their names.
func Shipped() ([]File, error) { return Load(files, ".") }

// FS holds the shipped rules and their tests.
func FS() fs.FS { return files }

// Load reads the rule files (*.yml, *.yaml) below a folder.
func Load(fsys fs.FS, root string) ([]File, error) {
	var out []File
	err := fs.WalkDir(fsys, root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".yml") && !strings.HasSuffix(path, ".yaml") {
			return err
		}
		text, err := fs.ReadFile(fsys, path)
		if err != nil {
			return err
		}
		out = append(out, File{Name: path, Text: string(text)})
		return nil
	})
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, err
}

package gitleaks_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/gitleaks"
)

// better are the finds that only we have, and why.
var better = map[string]string{
	"cmd/generate/config/rules/curl.go:37:curl-auth-user":    "the command goes on in the next line after a backslash",
	"cmd/generate/config/rules/curl.go:122:curl-auth-header": "the command goes on in the next line after a backslash",
	"cmd/generate/config/rules/curl.go:130:curl-auth-header": "the command goes on in the next line after a backslash",
}

// TestFindsWhatGitleaksFinds holds our finds in gitleaks' own source, which has
// an example of every rule, against what gitleaks 8.30.1 finds there. The list
// is made, and made anew, by the test of the same name in the bench module, which
// runs gitleaks itself.
func TestFindsWhatGitleaksFinds(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/zricethezav/gitleaks/v8").Output()
	if err != nil {
		t.Fatal(err)
	}
	root := os.DirFS(string(bytes.TrimSpace(dir)))
	for _, depth := range []int{0, detect.DefaultDecode} {
		list, err := os.ReadFile(filepath.Join("testdata", fmt.Sprintf("gitleaks-8.30.1-depth-%d.txt", depth)))
		if err != nil {
			t.Fatal(err)
		}
		theirs, ours := strings.Fields(string(list)), finds(t, root, depth)
		for _, f := range theirs {
			if !slices.Contains(ours, f) {
				t.Errorf("depth %d: only gitleaks finds %s", depth, f)
			}
		}
		for _, f := range ours {
			if !slices.Contains(theirs, f) && better[f[:strings.LastIndexByte(f, ':')]] == "" {
				t.Errorf("depth %d: only we find %s", depth, f)
			}
		}
	}
}

func finds(t *testing.T, root fs.FS, depth int) []string {
	t.Helper()
	c, err := gitleaks.Default()
	if err != nil {
		t.Fatal(err)
	}
	c.Decode = depth
	d, err := detect.New(c)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	err = fs.WalkDir(root, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		body, err := fs.ReadFile(root, path)
		d.Scan(detect.Text{Path: path, Body: body}, func(l *detect.Leak) {
			out = append(out, fmt.Sprintf("%s:%d:%s:%x", path, l.MatchLine, l.Rule, sha256.Sum256(l.Secret.Reveal())))
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

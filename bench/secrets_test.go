package main

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	peer "github.com/zricethezav/gitleaks/v8/detect"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/gitleaks"
)

var update = flag.Bool("update", false, "write what gitleaks finds in its own source for secrets/detect/gitleaks' test")

// trees are real source that has something in it: gitleaks' own examples of
// every rule, test keys, generated code.
var trees = []string{"github.com/zricethezav/gitleaks/v8", "github.com/jackc/pgx/v5"}

// most is how long a file may be: gitleaks reads a megabyte a second.
const most = 200 << 10

// better are the finds that only we have, or have as they are, and why. There
// is none that only gitleaks has.
var better = map[string]string{
	"testsetup/certs/ca.key.b64:1:private-key":               "base64 over lines: gitleaks leaves the ends of the lines in the key",
	"testsetup/certs/localhost.key.b64:1:private-key":        "base64 over lines: gitleaks leaves the ends of the lines in the key",
	"cmd/generate/config/rules/curl.go:37:curl-auth-user":    "the command goes on in the next line after a backslash",
	"cmd/generate/config/rules/curl.go:122:curl-auth-header": "the command goes on in the next line after a backslash",
	"cmd/generate/config/rules/curl.go:130:curl-auth-header": "the command goes on in the next line after a backslash",
}

// TestFindsWhatGitleaksFinds compares file, line, rule and secret by gitleaks'
// own rules, without decoding and with its default depth.
func TestFindsWhatGitleaksFinds(t *testing.T) {
	golden := map[int][]string{}
	for _, depth := range []int{0, detect.DefaultDecode} {
		for i, module := range trees {
			ours, theirs := finds(t, module, depth)
			for _, f := range theirs {
				if !slices.Contains(ours, f) && !explained(f) {
					t.Errorf("%s, depth %d: only gitleaks finds %s", module, depth, f)
				}
			}
			for _, f := range ours {
				if !slices.Contains(theirs, f) && !explained(f) {
					t.Errorf("%s, depth %d: only we find %s", module, depth, f)
				}
			}
			t.Logf("%s, depth %d: %d finds of gitleaks, %d of ours", module, depth, len(theirs), len(ours))
			if i == 0 {
				golden[depth] = theirs
			}
		}
	}
	if *update {
		writeGolden(t, golden)
	}
}

func explained(find string) bool { return better[find[:strings.LastIndexByte(find, ':')]] != "" }

func finds(t *testing.T, module string, depth int) (ours, theirs []string) {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output() //nolint:gosec // one of the trees
	if err != nil {
		t.Fatal(err)
	}
	root := string(bytes.TrimSpace(dir))
	files, err := listFiles(root)
	if err != nil {
		t.Fatal(err)
	}
	config, err := gitleaks.Default()
	if err != nil {
		t.Fatal(err)
	}
	config.Decode = depth
	d, err := detect.New(config)
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPeer(depth)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		body, err := os.ReadFile(filepath.Clean(file))
		if err != nil {
			t.Fatal(err)
		}
		if len(body) > most {
			continue
		}
		path := filepath.ToSlash(strings.TrimPrefix(file, root+string(filepath.Separator)))
		d.Scan(detect.Text{Path: path, Body: body}, func(l *detect.Leak) {
			ours = append(ours, found(path, l.MatchLine, l.Rule, l.Secret.Reveal()))
		})
		for _, f := range p.Detect(peer.Fragment{FilePath: path, Raw: string(body), StartLine: 1}) {
			theirs = append(theirs, found(path, f.StartLine, f.RuleID, []byte(f.Secret)))
		}
	}
	return compacted(ours), compacted(theirs)
}

func found(path string, line int, rule string, secret []byte) string {
	return fmt.Sprintf("%s:%d:%s:%x", path, line, rule, sha256.Sum256(secret))
}

func compacted(finds []string) []string {
	slices.Sort(finds)
	return slices.Compact(finds)
}

func writeGolden(t *testing.T, golden map[int][]string) {
	t.Helper()
	for depth, finds := range golden {
		path := filepath.Join("..", "secrets", "detect", "gitleaks", "testdata", fmt.Sprintf("gitleaks-8.30.1-depth-%d.txt", depth))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.Join(finds, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

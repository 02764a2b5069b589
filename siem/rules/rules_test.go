package rules_test

import (
	"context"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/rules"
	"github.com/interlock-security/interlock/siem/sigma/sigmatest"
)

func TestShippedRulesCompile(t *testing.T) {
	files, err := rules.Shipped()
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	if _, err := detect.NewRuleset(files); err != nil {
		t.Fatal(err)
	}
}

func TestShippedRulesKeepTheirTests(t *testing.T) {
	tests, err := sigmatest.Find(rules.FS(), ".")
	if err != nil || len(tests) < 3 {
		t.Fatalf("%d tests, %v", len(tests), err)
	}
	for _, name := range tests {
		t.Run(name, func(t *testing.T) {
			result, err := sigmatest.Run(context.Background(), rules.FS(), name)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range result.Failures {
				t.Error(f)
			}
		})
	}
}

// TestTheNumberInTheFileDecides changes 10 to 12 in the shipped rule and sees
// the verdict change: ten accounts are then nobody's business, twelve are.
func TestTheNumberInTheFileDecides(t *testing.T) {
	const name = "linux/sshd_credential_stuffing.yml"
	verdict := func(number string) string {
		fsys := fstest.MapFS{"t.test": {Data: []byte(`rules linux/*.yml
load 1s
  sshd Failed password for u{i} from 203.0.113.9 port 4{i} ssh2 *10
eval at 2m
load 1s from 20s
  sshd Failed password for v{i} from 203.0.113.9 port 5{i} ssh2 *2
eval at 2m
`)}}
		for _, file := range []string{name, "linux/sshd_failed_login.yml"} {
			text, err := fs.ReadFile(rules.FS(), file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(text), "gte: 10"); file == name && n != 1 {
				t.Fatalf("the number stands %d times in %s", n, file)
			}
			fsys[file] = &fstest.MapFile{Data: []byte(strings.Replace(string(text), "gte: 10", "gte: "+number, 1))}
		}
		result, err := sigmatest.Run(context.Background(), fsys, "t.test")
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, f := range result.Failures {
			lines = append(lines, strings.SplitN(f.String(), " provenance", 2)[0])
		}
		return strings.Join(lines, "\n")
	}
	ten := "t.test:4: alerts that were not expected: sshd-credential-stuffing count=10\n" +
		"t.test:7: alerts that were not expected: sshd-credential-stuffing count=12"
	if got := verdict("10"); got != ten {
		t.Errorf("with 10:\n%s", got)
	}
	twelve := "t.test:7: alerts that were not expected: sshd-credential-stuffing count=12"
	if got := verdict("12"); got != twelve {
		t.Errorf("with 12:\n%s", got)
	}
}

// TestTheReferenceOfTestsHolds runs the examples of docs/reference/rule-tests.md
// as tests beside the shipped rules.
func TestTheReferenceOfTestsHolds(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/rule-tests.md")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(page), "```test\n")
	if len(parts) < 4 {
		t.Fatalf("found %d examples", len(parts)-1)
	}
	for i, part := range parts[1:] {
		text, _, _ := strings.Cut(part, "```")
		result, err := sigmatest.Run(context.Background(), withFile{rules.FS(), "page.test", text}, "page.test")
		if err != nil {
			t.Fatalf("example %d: %v", i+1, err)
		}
		for _, f := range result.Failures {
			t.Errorf("example %d: %s", i+1, f)
		}
	}
}

// withFile is a file system with one file more.
type withFile struct {
	fs.FS
	name, text string
}

func (w withFile) Open(name string) (fs.File, error) {
	if name == w.name {
		return fstest.MapFS{name: {Data: []byte(w.text)}}.Open(name)
	}
	return w.FS.Open(name)
}

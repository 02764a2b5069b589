package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestMain lets this test binary be the command itself: scripts run it, and it
// runs its own children.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"interlock": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("INTERLOCK_DATA", filepath.Join(e.WorkDir, "data"))
			e.Setenv("INTERLOCK_KEYS", filepath.Join(e.WorkDir, "keys"))
			e.Setenv("COLUMNS", "80")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":     exits,
			"await":     await,
			"mkconfig":  mkconfig,
			"flip":      flip,
			"mkinstall": mkinstall,
			"mkorder":   mkorder,
			"mklog":     mklog,
			"mktoken":   mktoken,
			"mkphoto":   mkphoto,
			"mktrace":   mktrace,
			"mkleak":    mkleak,
			"mkclosed":  mkclosed,
			"mkimage":   mkimage,
			"mkmirror":  mkmirror,
			"alone":     alone,
		},
	})
}

// exits runs a command and wants this very exit code: "exits 1 interlock ...".
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGS...")
	}
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// await waits until a command succeeds: "await COMMAND ARGS...".
func await(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.After(3 * time.Minute); ts.Exec(args[0], args[1:]...) != nil; {
		select {
		case <-deadline:
			ts.Fatalf("it never succeeds")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// flip turns one bit of a file: "flip GLOB OFFSET", from the end if negative.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	found, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(found) != 1 {
		ts.Fatalf("%s is %d files", args[0], len(found))
	}
	path := found[0]
	b, err := os.ReadFile(path)
	ts.Check(err)
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 1
	ts.Check(os.WriteFile(path, b, 0o600))
}

// TestHelp holds the help of every verb, so that a change of the command line is
// seen in review. Write it anew with: go test ./cmd/interlock -run TestHelp -update
func TestHelp(t *testing.T) {
	t.Setenv("COLUMNS", "80")
	var got bytes.Buffer
	for _, verb := range append([][]string{nil}, verbs(t)...) {
		got.WriteString("== interlock " + strings.Join(verb, " ") + "\n")
		var out, errOut bytes.Buffer
		if code := run(context.Background(), append(verb, "--help"), nil, &out, &errOut); code != 0 || errOut.Len() > 0 {
			t.Errorf("%v --help: exit code %d, %s", verb, code, errOut.String())
		}
		got.Write(out.Bytes())
		got.WriteByte('\n')
	}
	golden(t, "help.golden", got.Bytes())
}

// verbs lists the path of every verb.
func verbs(t *testing.T) (list [][]string) {
	parser, err := kong.New(&grammar{}, kong.Vars{"data": "", "config": "", "advisories": ""})
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range parser.Model.Leaves(true) {
		list = append(list, strings.Fields(leaf.Path()))
	}
	return list
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; see what changed with: go test ./cmd/interlock -update && git diff", path)
	}
}

// TestEveryVerbHasAnExample keeps the promise of the help: each verb that does
// something says how.
func TestEveryVerbHasAnExample(t *testing.T) {
	for _, verb := range verbs(t) {
		var out bytes.Buffer
		run(context.Background(), append(verb, "--help"), nil, &out, &out)
		if !strings.Contains(out.String(), "Example:") {
			t.Errorf("interlock %s --help has no example", strings.Join(verb, " "))
		}
	}
}

package main

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// mkleak writes a file with a password that nobody has seen before, which $LEAK
// holds from then on: "mkleak FILE".
func mkleak(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: mkleak FILE")
	}
	leak := "vQ7" + rand.Text()[:14] + "x9"
	ts.Setenv("LEAK", leak)
	path := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o750))
	ts.Check(os.WriteFile(path, []byte("DB_HOST=db1\nDB_PASS"+"WORD="+leak+"\n"), 0o600))
}

// mkclosed writes the beginning of an archive that nobody here can open: "mkclosed
// FILE".
func mkclosed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: mkclosed FILE")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte("7z\xbc\xaf\x27\x1c\x00\x04"), 0o600))
}

// alone leaves nothing in the PATH but the program itself.
func alone(ts *testscript.TestScript, _ bool, _ []string) {
	first, _, _ := strings.Cut(ts.Getenv("PATH"), string(os.PathListSeparator))
	ts.Setenv("PATH", first)
}

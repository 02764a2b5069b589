package audit_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/audit/verify"
	"github.com/interlock-security/interlock/core"
)

// succeededExport is the export of a log that lost three entries, recorded a
// stop meanwhile and was succeeded.
func succeededExport(t *testing.T) (dir string, l *audit.Log) {
	t.Helper()
	c, _ := damagedLog(t)
	l = open(t, c)
	statement, err := l.Statement(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e := fact(1)
	e.Vital = audit.VitalStop
	if _, err := l.Append(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Succeed(t.Context(), statement, sign(statement)); err != nil {
		t.Fatal(err)
	}
	appendAll(t, l, 0, 5)
	dir = t.TempDir()
	if _, err := l.Export(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	return dir, l
}

func vkeyOf(t *testing.T) func(origin string) string {
	return func(origin string) string {
		key, err := audit.VerifierKey(origin, seed())
		if err != nil {
			t.Error(err)
		}
		return key
	}
}

func TestAnExportIsCheckedAcrossASuccession(t *testing.T) {
	dir, _ := succeededExport(t)
	for _, signed := range []func(statement, signatures []byte) error{verifySuccession, nil} {
		logs, err := verify.Chain(dir, vkeyOf(t), signed)
		if err != nil {
			t.Fatal(err)
		}
		if len(logs) != 3 || logs[0].Origin != origin || logs[1].Origin != origin+"/g2" || logs[2].Origin != origin+"/g3" {
			t.Fatalf("logs %+v", logs)
		}
		if !logs[0].Succeeded || !logs[1].Succeeded || logs[2].Succeeded || logs[0].Lost != 3 || logs[1].Lost != 0 {
			t.Errorf("%+v, %+v, %+v", logs[0], logs[1], logs[2])
		}
		if logs[0].Statement != nil || logs[1].Statement != nil || logs[2].Statement == nil || logs[2].Statement.Reason == "" {
			t.Errorf("statements: %+v", logs)
		}
	}
}

// What an attacker who holds the log key can do to an export: everything but
// the persons' signatures and what they signed.
func TestASuccessionInAnExportIsHeldAgainstEverything(t *testing.T) {
	other := func(t *testing.T, dir string, n int) { // another history under the same key
		c := config(t, t.TempDir())
		l := open(t, c)
		appendAll(t, l, 100, 100+n)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Export(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
	}
	attacks := map[string]func(t *testing.T, dir string) error{
		"nobody whom the reader knows signed": func(_ *testing.T, dir string) error {
			return replaceIn(filepath.Join(dir, "succession"), `"signatures":"`, `"signatures":"AAAA`)
		},
		"another statement": func(_ *testing.T, dir string) error {
			return replaceIn(filepath.Join(dir, "succession"), `"statement":"eyJ2`, `"statement":"eyJ3`)
		},
		"no statement":               func(_ *testing.T, dir string) error { return os.Remove(filepath.Join(dir, "succession")) },
		"no predecessors":            func(_ *testing.T, dir string) error { return os.RemoveAll(filepath.Join(dir, "predecessors")) },
		"the first log is missing":   func(_ *testing.T, dir string) error { return os.RemoveAll(filepath.Join(dir, "predecessors", "1")) },
		"the second log is missing":  func(_ *testing.T, dir string) error { return os.RemoveAll(filepath.Join(dir, "predecessors", "2")) },
		"a folder that nobody named": func(_ *testing.T, dir string) error { return os.Mkdir(filepath.Join(dir, "predecessors", "3"), 0o700) },
		"another first log, as long": func(t *testing.T, dir string) error {
			other(t, filepath.Join(dir, "predecessors", "1"), attacked-3)
			return nil
		},
		"another first log, longer": func(t *testing.T, dir string) error {
			other(t, filepath.Join(dir, "predecessors", "1"), attacked)
			return nil
		},
		"an older copy of the first log": func(t *testing.T, dir string) error {
			c := config(t, t.TempDir())
			l := open(t, c)
			appendAll(t, l, 0, 4)
			if err := os.RemoveAll(filepath.Join(dir, "predecessors", "1")); err != nil {
				return err
			}
			_, err := l.Export(t.Context(), filepath.Join(dir, "predecessors", "1"))
			return err
		},
	}
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			dir, _ := succeededExport(t)
			if err := attack(t, dir); err != nil {
				t.Fatal(err)
			}
			if logs, err := verify.Chain(dir, vkeyOf(t), verifySuccession); core.KindOf(err) != core.KindDamaged {
				t.Errorf("%+v, %v", logs, err)
			}
		})
	}
}

func replaceIn(path, old, replacement string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	changed := bytes.Replace(b, []byte(old), []byte(replacement), 1)
	if bytes.Equal(changed, b) {
		return os.ErrInvalid
	}
	return os.WriteFile(path, changed, 0o600)
}

// An export made in stop-only mode says so: its last log has no statement.
func TestAnExportInStopOnlyMode(t *testing.T) {
	c, _ := damagedLog(t)
	l := open(t, c)
	dir := t.TempDir()
	if _, err := l.Export(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	logs, err := verify.Chain(dir, vkeyOf(t), verifySuccession)
	if err != nil || len(logs) != 2 || logs[0].Succeeded || logs[1].Statement != nil {
		t.Errorf("%+v, %v", logs, err)
	}
}

// A log of which nothing can be proved any more has no export of its own; the
// statement says so, and the logs after it are exported and hold.
func TestAnExportAfterTheFirstLogIsLostWhole(t *testing.T) {
	dir := t.TempDir()
	l := open(t, config(t, dir))
	appendAll(t, l, 0, 5)
	known := l.Checkpoint()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c := config(t, dir)
	segments, err := filepath.Glob(filepath.Join(c.Dir, "0001", "wal", "*"))
	if err != nil || len(segments) == 0 {
		t.Fatal(segments, err)
	}
	for _, s := range segments {
		if err := os.Remove(s); err != nil {
			t.Fatal(err)
		}
	}
	c.Known = func() []audit.Checkpoint { return []audit.Checkpoint{known} }
	c.VerifySuccession = verifySuccession
	l = open(t, c)
	statement, err := l.Statement(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Succeed(t.Context(), statement, sign(statement)); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	if _, err := l.Export(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	logs, err := verify.Chain(out, vkeyOf(t), verifySuccession)
	if err != nil || len(logs) != 2 || logs[1].Statement == nil || len(logs[1].Gone) != 1 || logs[1].Gone[0].Lost() != 5 {
		t.Errorf("%+v, %v", logs, err)
	}
}

// Readers tell by the end of an origin which log came after which.
func TestAnOriginMayNotEndAsASuccessorsDoes(t *testing.T) {
	for name, good := range map[string]bool{"x/g2": false, "x/g07": false, "x/g": true, "x/gate": true, "g2": true, "x/g2/y": true} {
		c := config(t, t.TempDir())
		c.Origin = name
		l, err := audit.Open(t.Context(), c)
		if good != (err == nil) || err != nil && core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

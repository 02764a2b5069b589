package sysfs

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/interlock-security/interlock/core"
)

func TestANumberIsFiniteOrAnError(t *testing.T) {
	for text, want := range map[string]float64{"0": 0, "-17": -17, "0.009577": 0.009577, "5e-3": 0.005} {
		if got, err := Number(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "NaN", "inf", "1e999", "0x10", "1_000", "12 mV", "-"} {
		if got, err := Number(text); core.KindOf(err) != core.KindDamaged {
			t.Errorf("%q is taken for %v: %v", text, got, err)
		}
	}
}

func TestAFileIsReadAndSet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "in0_input")
	if _, err := Float(path); !Gone(err) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := Write(path, "1"); !Gone(err) {
		t.Errorf("a file was made: %v", err)
	}
	if err := os.WriteFile(path, []byte("12000\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if v, err := Float(path); err != nil || v != 12000 {
		t.Errorf("%v, %v", v, err)
	}
	if err := Write(path, "7"); err != nil {
		t.Fatal(err)
	}
	if text, err := Read(path); err != nil || text != "7" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestFilesAreReadAnewAndSeeAnotherFileAfterClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "in_accel_x_raw")
	set := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var files Files
	defer files.Close()
	if _, err := files.Float(path); !Gone(err) {
		t.Errorf("a file that is not there: %v", err)
	}
	for text, want := range map[string]float64{"12\n": 12, "-7\n": -7} {
		set(path, text)
		if v, err := files.Float(path); err != nil || v != want {
			t.Errorf("%q is read as %v, %v", text, v, err)
		}
	}
	set(path+".new", "99\n")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	files.Close()
	if v, err := files.Float(path); err != nil || v != 99 {
		t.Errorf("after Close: %v, %v", v, err)
	}
}

func FuzzNumber(f *testing.F) {
	f.Add("12000")
	f.Add("nan")
	f.Fuzz(func(t *testing.T, text string) {
		if v, err := Number(text); err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
			t.Errorf("%q is %v", text, v)
		}
	})
}

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
)

func TestFlags(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "agent.yaml")
	if err := os.WriteFile(file, []byte("device: press-7\nheartbeat: 5s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "broken.yaml")
	if err := os.WriteFile(broken, []byte("devise: press-7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		name string
		args []string
		want string
		kind core.Kind
	}{
		{"the file", []string{"--config", file, "--print-config"}, "device: press-7", core.KindInternal},
		{"flags win", []string{"--config", file, "--device", "press-8", "--enforce", "--print-config"}, "enforce: nftables", core.KindInternal},
		{"sensors by driver", []string{"--sensors", "usb", "--print-config"}, "driver: usb", core.KindInternal},
		{"an unknown key", []string{"--config", broken, "--print-config"}, "", core.KindInvalid},
		{"a device that is a path", []string{"--device", "../../etc", "--print-config"}, "", core.KindInvalid},
		{"an unknown driver", []string{"--sensors", "magic", "--print-config"}, "", core.KindInvalid},
		{"an unknown flag", []string{"--disarm"}, "", core.KindInvalid},
		{"no agent runs", []string{"--run-dir", dir, "--status"}, "", core.KindUnavailable},
		{"not enrolled", []string{"--data-dir", filepath.Join(dir, "data"), "--run-dir", filepath.Join(dir, "run")}, "", core.KindNotFound},
		{"the key", []string{"--data-dir", filepath.Join(dir, "data"), "--print-key"}, "fact ", core.KindInternal},
	}
	for _, r := range rows {
		var out, log bytes.Buffer
		err := run(t.Context(), r.args, &out, &log)
		if core.KindOf(err) != r.kind || (err == nil) != (r.kind == core.KindInternal) || !strings.Contains(out.String(), r.want) {
			t.Errorf("%s: %v\n%s", r.name, err, out.String())
		}
	}
}

// What could not be tested is no pass, and the exit code says so.
func TestTheDoctorsExitCode(t *testing.T) {
	dir := t.TempDir()
	for _, row := range []struct {
		sensors, want string
		code          int
	}{
		{"sensors: []\n", "SKIPPED", 2},
		{"sensors: [{id: lid, driver: gpio, lines: [{name: lid, chip: no-such-chip, offset: 1}]}]\n", "FAIL", 1},
	} {
		file := filepath.Join(dir, "agent.yaml")
		if err := os.WriteFile(file, []byte(row.sensors), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, format := range [][]string{{}, {"--json"}} {
			var out, log bytes.Buffer
			err := run(t.Context(), append([]string{"doctor", "--config", file, "--run-dir", dir}, format...), &out, &log)
			var found failures
			if !errors.As(err, &found) || found.code != row.code || !strings.Contains(strings.ToUpper(out.String()), row.want) {
				t.Errorf("%v %v\n%s", err, format, out.String())
			}
		}
	}
	if err := run(t.Context(), []string{"doctor", "--config", filepath.Join(dir, "none.yaml")}, io.Discard, io.Discard); core.KindOf(err) != core.KindNotFound {
		t.Errorf("no file: %v", err)
	}
}

func TestTheEnrolmentStringIsNeverPrinted(t *testing.T) {
	t.Setenv("INTERLOCK_ENROL", "interlock-enrol:v1:canary4711")
	var out, log bytes.Buffer
	dir := t.TempDir()
	err := run(t.Context(), []string{"--data-dir", dir, "--run-dir", dir, "-v"}, &out, &log)
	if err == nil || strings.Contains(err.Error()+out.String()+log.String(), "canary") {
		t.Errorf("%v\n%s\n%s", err, out.String(), log.String())
	}
	if err := run(t.Context(), []string{"--print-config"}, &out, &log); err != nil || strings.Contains(out.String(), "canary") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if os.Getenv("INTERLOCK_ENROL") != "" {
		t.Error("the secret stays in the environment")
	}
}

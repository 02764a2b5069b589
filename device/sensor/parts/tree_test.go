package parts

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/device/sensor"
)

// plant makes a machine's files below a folder out of a description: "path =
// JSON text", "path -> target", "path/". The files of a kernel have names that
// not every system can hold, so they are not kept as files.
func plant(t testing.TB, description string) (root string) {
	t.Helper()
	root = t.TempDir()
	b, err := os.ReadFile(filepath.Join("testdata", description))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		if path, target, ok := strings.Cut(line, " -> "); ok {
			plantLink(t, filepath.Join(root, path), target)
		} else if path, text, ok := strings.Cut(line, " = "); ok {
			var content string
			if err := json.Unmarshal([]byte(text), &content); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			write(t, filepath.Join(root, path), content)
		} else if err := os.MkdirAll(filepath.Join(root, line), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func plantLink(t testing.TB, path, target string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func remove(t testing.TB, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// short writes parts one a line.
func lines(parts []sensor.Part) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.Class + " | " + p.Place + " | " + p.Identity)
		for _, k := range []string{"firmware", "on"} {
			if v := p.About[k]; v != "" {
				b.WriteString(" | " + k + " " + v)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestPlaces(t *testing.T) {
	s := newSensor(t, plant(t, "board.txt"))
	for device, want := range map[string]string{
		"pci0000:00/0000:00:1d.0/0000:03:00.0/nvme/nvme1/nvme1n1":                              "pci0000:00/1d.0/00.0/n1",
		"pci0000:00/0000:00:1f.2/ata3/host2/target2:0:0/2:0:0:0/block/sda":                     "pci0000:00/1f.2/ata1/0:0:0",
		"pci0000:00/0000:00:14.0/usb1/1-7/1-7.1/1-7.1:1.0/host6/target6:0:0/6:0:0:1/block/sdc": "pci0000:00/14.0/usb-7.1/0:0:1",
		"pci0000:00/0000:00:02.0/virtio1/block/vda":                                            "pci0000:00/02.0",
		"platform/soc/fe340000.mmc/mmc_host/mmc0":                                              "platform/soc/fe340000.mmc/mmc",
		"pci0000:00/0000:00:03.0/virtio2/net/eth0":                                             "pci0000:00/03.0",
		"LNXSYSTM:00/LNXSYBUS:00/MSFT0101:00/tpm/tpm0":                                         "LNXSYSTM:00/LNXSYBUS:00/MSFT0101:00",
		"../../etc": "../../etc",
	} {
		if got := s.tree.place(device); got != want {
			t.Errorf("%s is at %q, want %q", device, got, want)
		}
	}
}

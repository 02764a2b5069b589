package hil

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// needs are the programs of this host that the test can't do without. Without
// one of them nothing would be proved, so the test fails.
var needs = []string{"qemu-system-x86_64", "swtpm", "ipmi_sim", "mke2fs", "nft", "ldd", "bash"}

func needTools(t *testing.T) {
	t.Helper()
	path := os.Getenv("PATH") + ":/usr/sbin:/sbin"
	t.Setenv("PATH", path)
	for _, tool := range needs {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%v\nnext: make deps, which installs what the tests need (Debian 12)", err)
		}
	}
	if _, err := os.Stat("/usr/share/seabios/bios-256k.bin"); err != nil {
		t.Fatalf("%v\nnext: make deps, or install seabios", err)
	}
}

// kernel prepares the kernel and its modules, which takes a while once, and
// returns their folder.
func kernel(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "bash", "kernel.sh")
	cmd.Stderr = os.Stderr // says what it does while it takes long
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("test/hil/kernel.sh: %w; it says above what is missing", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// image writes the guest's first filesystem: init, the agent, the modules, and
// nft(8) with its libraries to read the firewall back with.
func image(ctx context.Context, path, kernel, guest, agent string) error {
	files := map[string]string{
		"init":                guest,
		"bin/interlock-agent": agent,
		"modules/order":       filepath.Join(kernel, "modules", "order"),
	}
	modules, err := filepath.Glob(filepath.Join(kernel, "modules", "*.ko"))
	if err != nil || len(modules) == 0 {
		return fmt.Errorf("no modules under %s: %w", kernel, err)
	}
	for _, m := range modules {
		files["modules/"+filepath.Base(m)] = m
	}
	if err := withLibraries(ctx, files, "usr/sbin/nft"); err != nil {
		return err
	}
	var out bytes.Buffer
	if err := archive(&out, files); err != nil {
		return err
	}
	return os.WriteFile(path, out.Bytes(), 0o600)
}

var library = regexp.MustCompile(`(/\S+) \(0x`)

// withLibraries adds one of this host's programs and what it is linked to.
func withLibraries(ctx context.Context, files map[string]string, program string) error {
	out, err := exec.CommandContext(ctx, "ldd", "/"+program).Output()
	if err != nil {
		return fmt.Errorf("ldd /%s: %w", program, err)
	}
	files[program] = "/" + program
	for _, m := range library.FindAllStringSubmatch(string(out), -1) {
		files[strings.TrimPrefix(m[1], "/")] = m[1]
	}
	return nil
}

// archive writes files as a cpio archive of the form that the kernel takes
// ("newc"), uncompressed: unpacking is slow in an emulated machine.
func archive(w *bytes.Buffer, files map[string]string) error {
	seen := map[string]bool{".": true}
	inode := 0
	entry := func(name string, mode int, content []byte) {
		inode++
		fmt.Fprintf(w, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
		w.WriteString(name + "\x00")
		pad(w)
		w.Write(content)
		pad(w)
	}
	var folders func(dir string)
	folders = func(dir string) {
		if !seen[dir] {
			seen[dir] = true
			folders(filepath.Dir(dir))
			entry(dir, 0o040755, nil)
		}
	}
	for name, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		folders(filepath.Dir(name))
		entry(name, 0o100755, content)
	}
	entry("TRAILER!!!", 0, nil)
	return nil
}

func pad(w *bytes.Buffer) {
	for w.Len()%4 != 0 {
		w.WriteByte(0)
	}
}

// disk makes an ext4 filesystem for the agent's state. The whole program lies on
// it, for the verbs that people use at the machine: it is too large for the
// guest's memory.
func disk(ctx context.Context, path, program string) error {
	content := path + ".d"
	if err := os.MkdirAll(filepath.Join(content, "bin"), 0o755); err != nil {
		return err
	}
	if err := os.Link(program, filepath.Join(content, "bin", "interlock")); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "mke2fs", "-q", "-t", "ext4", "-m", "0", "-d", content, path, "256M").CombinedOutput()
	if err != nil {
		return fmt.Errorf("mke2fs: %w\n%s", err, out)
	}
	return nil
}

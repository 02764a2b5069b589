package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/gitleaks"
	"github.com/interlock-security/interlock/secrets/detect/standard"
)

// secretTrials measure what finding leaked secrets costs: a whole run, rules
// made ready and files read, on the libraries that Kubernetes is made of.
func secretTrials() []trial {
	atMost := func(x float64) []bar { return []bar{{ratio: true, atMost: x}} }
	return []trial{
		{
			figures: []figure{
				{name: "secrets/pack", unit: "s-cpu", floor: "rg -i -F", bars: atMost(10)},
				{name: "secrets/gitleaks-rules", unit: "s-cpu", floor: "rg -i -F", bars: atMost(10)},
				{name: "secrets/pack/decoding", unit: "s-cpu", floor: "rg -i -F"},
				{name: "secrets/read", unit: "s-cpu", floor: "cat"},
			},
			rounds: 3,
			open:   openSecrets,
		},
		{
			figures: []figure{
				{name: "secrets/peer", unit: "s-cpu", floor: "gitleaks, undecoded", bars: atMost(1. / 8)},
				{name: "secrets/peer/decoding", unit: "s-cpu", floor: "gitleaks", bars: atMost(1. / 8)},
			},
			rounds: 3,
			open:   openSecretPeer,
		},
	}
}

// libraries are the corpus: 44 MB in 5 800 files, generated code for the most.
var libraries = []string{"k8s.io/api@v0.31.0", "k8s.io/client-go@v0.31.0", "k8s.io/apimachinery@v0.31.0", "k8s.io/apiserver@v0.31.0"}

// corpus is where the libraries are, fetched once into a module cache of their
// own so that nobody's own is scanned.
func corpus(ctx context.Context) (string, error) {
	dir := os.Getenv("BENCH_CORPUS")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", notMeasured{err.Error()}
		}
		dir = filepath.Join(cache, "interlock", "corpus", "mod")
	}
	for _, lib := range libraries {
		if _, err := os.Stat(filepath.Join(dir, lib)); err == nil {
			continue
		}
		if err := fetch(ctx, dir, lib); err != nil {
			return "", notMeasured{"the corpus can't be fetched: " + err.Error()}
		}
	}
	return filepath.Join(dir, "k8s.io"), nil
}

func fetch(ctx context.Context, dir, lib string) error {
	work, err := os.MkdirTemp("", "interlock-corpus-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := os.WriteFile(filepath.Join(work, "go.mod"), []byte("module corpus\n"), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "mod", "download", lib) //nolint:gosec // one of the libraries
	cmd.Dir, cmd.Env = work, append(os.Environ(), "GOMODCACHE="+dir, "GOFLAGS=-mod=mod")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

func openSecrets(ctx context.Context, dir string) (sides, error) {
	root, err := corpus(ctx)
	if err != nil {
		return sides{}, err
	}
	files, err := listFiles(root)
	if err != nil {
		return sides{}, err
	}
	own, theirs, err := secretConfigs()
	if err != nil {
		return sides{}, err
	}
	grep, err := grepFor(ctx, dir, own, theirs, root)
	if err != nil {
		return sides{}, err
	}
	decoding := own
	decoding.Decode = detect.DefaultDecode
	return sides{
		ours: eachOf(
			func() error { return scanFiles(own, files) }, func() error { return scanFiles(theirs, files) },
			func() error { return scanFiles(decoding, files) }, func() error { return readFiles(files, func(string, []byte) {}) },
		),
		floor: func() ([]float64, error) {
			a, err := grep(0)
			b, errB := grep(1)
			c, errC := spentBy(exec.CommandContext(ctx, "cat", files...)) //nolint:gosec // files of the corpus
			return []float64{a, b, a, c}, errors.Join(err, errB, errC)
		},
		close: func() error { return nil },
	}, nil
}

// secretConfigs are our pack and gitleaks' rules, without decoding.
func secretConfigs() (own, theirs detect.Config, err error) {
	own = standard.Config()
	own.Decode = 0
	theirs, err = gitleaks.Default()
	theirs.Decode = 0
	return own, theirs, err
}

// grepFor is rg looking for the words that each of the rules look for.
func grepFor(ctx context.Context, dir string, own, theirs detect.Config, root string) (func(n int) (float64, error), error) {
	rg, err := exec.LookPath("rg")
	if err != nil {
		return nil, notMeasured{"rg is not installed"}
	}
	lists := [2]string{filepath.Join(dir, "own"), filepath.Join(dir, "theirs")}
	for i, c := range []detect.Config{own, theirs} {
		if err := os.WriteFile(lists[i], []byte(strings.Join(words(c), "\n")+"\n"), 0o600); err != nil {
			return nil, err
		}
	}
	return func(n int) (float64, error) {
		return spentBy(exec.CommandContext(ctx, rg, "-i", "-F", "-c", "-uuu", "-f", lists[n], root)) //nolint:gosec // as above
	}, nil
}

func words(c detect.Config) []string {
	var all []string
	for _, r := range c.Rules {
		all = append(all, r.Keywords...)
	}
	for _, g := range c.Grammars {
		all = append(all, g.Keywords()...)
	}
	for i, w := range all {
		all[i] = strings.ToLower(w)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(w string) bool { return strings.TrimSpace(w) == "" || strings.Contains(w, "\n") })
}

// spentBy is the processor time of a program that prints to nobody.
func spentBy(cmd *exec.Cmd) (float64, error) {
	cmd.Stdout = io.Discard
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	return (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), nil
}

// eachOf runs several operations and gives the processor time of each.
func eachOf(ops ...func() error) func() ([]float64, error) {
	return func() ([]float64, error) {
		var out []float64
		for _, op := range ops {
			used := processorTime()
			if err := op(); err != nil {
				return nil, err
			}
			out = append(out, (processorTime() - used).Seconds())
		}
		return out, nil
	}
}

func listFiles(root string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	return files, err
}

// scanFiles is a whole run: rules are made ready, files read by two workers.
func scanFiles(c detect.Config, files []string) error {
	d, err := detect.New(c)
	if err != nil {
		return err
	}
	return readFiles(files, func(path string, body []byte) {
		d.Scan(detect.Text{Path: filepath.ToSlash(path), Body: body}, func(*detect.Leak) {})
	})
}

func readFiles(files []string, use func(path string, body []byte)) error {
	const workers = 2
	queue, failed := make(chan string, workers), make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			var buf bytes.Buffer
			for path := range queue {
				if err := readFile(path, &buf); err != nil {
					failed[w] = err
					continue
				}
				use(path, buf.Bytes())
			}
		})
	}
	for _, path := range files {
		queue <- path
	}
	close(queue)
	wg.Wait()
	return errors.Join(failed...)
}

func readFile(path string, buf *bytes.Buffer) error {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	buf.Reset()
	if info, err := f.Stat(); err == nil {
		buf.Grow(int(info.Size()) + bytes.MinRead)
	}
	_, err = buf.ReadFrom(f)
	return err
}

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	peer "github.com/zricethezav/gitleaks/v8/detect"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/gitleaks"
)

// openSecretPeer compares us with gitleaks as a library, by its own rules, on a
// part of the corpus: all of it would take it a minute a round.
func openSecretPeer(ctx context.Context, _ string) (sides, error) {
	root, err := corpus(ctx)
	if err != nil {
		return sides{}, err
	}
	files, err := listFiles(filepath.Join(root, strings.TrimPrefix(libraries[2], "k8s.io/"), "pkg", "apis"))
	if err != nil {
		return sides{}, err
	}
	config, err := gitleaks.Default()
	if err != nil {
		return sides{}, err
	}
	ours, err := both(func(depth int) (func(string, []byte), error) {
		config.Decode = depth
		d, err := detect.New(config)
		return func(path string, body []byte) { d.Scan(detect.Text{Path: path, Body: body}, func(*detect.Leak) {}) }, err
	}, files)
	if err != nil {
		return sides{}, err
	}
	theirs, err := both(func(depth int) (func(string, []byte), error) {
		d, err := newPeer(depth)
		return func(path string, body []byte) { d.Detect(peer.Fragment{FilePath: path, Raw: string(body)}) }, err
	}, files)
	return sides{ours: ours, floor: theirs, close: func() error { return nil }}, err
}

func newPeer(depth int) (*peer.Detector, error) {
	d, err := peer.NewDetectorDefaultConfig()
	if err != nil {
		return nil, err
	}
	d.MaxDecodeDepth = depth
	return d, nil
}

// both scans files that are in memory without and with decoding.
func both(scanner func(depth int) (func(path string, body []byte), error), files []string) (func() ([]float64, error), error) {
	plain, err := scanner(0)
	if err != nil {
		return nil, err
	}
	decoding, err := scanner(detect.DefaultDecode)
	if err != nil {
		return nil, err
	}
	bodies := make([][]byte, len(files))
	for i, path := range files {
		if bodies[i], err = os.ReadFile(filepath.Clean(path)); err != nil {
			return nil, err
		}
	}
	all := func(scan func(string, []byte)) func() error {
		return func() error {
			for i, body := range bodies {
				scan(files[i], body)
			}
			return nil
		}
	}
	return eachOf(all(plain), all(decoding)), nil
}

// Package config reads YAML strictly: an unknown key, a duplicate key or a
// value of the wrong type is an error that names line and column. Each folder
// owns its own Config type with defaults in code and a Validate method; app
// joins them into one file.
package config

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/goccy/go-yaml"

	"github.com/interlock-security/interlock/core"
)

// MaxSize is the largest configuration file that is read, in bytes.
const MaxSize = 1 << 20

// Validator is a configuration that can say what is wrong with it.
type Validator interface{ Validate() error }

// Load reads the file at path over the defaults that cfg holds and validates
// the outcome. A missing file is an error of kind not-found.
func Load(path string, cfg Validator) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return core.E(core.KindNotFound, "config.Load", "no file "+path).WithHint("interlock config print shows the defaults")
	}
	if err != nil {
		return core.Wrap(core.KindUnavailable, "config.Load", err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return core.Wrap(core.KindUnavailable, "config.Load", err)
	}
	if len(text) > MaxSize {
		return core.E(core.KindTooLarge, "config.Load", fmt.Sprintf("%s is over %d bytes", path, MaxSize))
	}
	if err := Parse(text, cfg); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Parse is [Load] for text in memory.
func Parse(text []byte, cfg Validator) error {
	// A file with nothing but comments would set every default to zero.
	var document any
	if err := yaml.Unmarshal(text, &document); err != nil {
		return core.E(core.KindInvalid, "config", yaml.FormatError(err, false, true))
	}
	if document != nil {
		if err := yaml.UnmarshalWithOptions(text, cfg, yaml.Strict()); err != nil {
			return core.E(core.KindInvalid, "config", yaml.FormatError(err, false, true))
		}
	}
	if err := cfg.Validate(); err != nil {
		return core.Wrap(core.KindInvalid, "config", err)
	}
	return nil
}

// Print writes cfg as YAML, every value with its default filled in.
func Print(w io.Writer, cfg Validator) error {
	out, err := yaml.MarshalWithOptions(cfg, yaml.Indent(2))
	if err != nil {
		return core.Wrap(core.KindInternal, "config.Print", err)
	}
	_, err = w.Write(out)
	return err
}

package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/config"
)

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Check a configuration file; every error names line and column."`
	Print configPrintCmd `cmd:"" help:"Print every value, defaults filled in."`
}

type configCheckCmd struct {
	File string `arg:"" optional:"" help:"The file; by default interlock.yaml in the data directory." type:"path"`
}

// Help implements kong's long help.
func (configCheckCmd) Help() string {
	return `Exit code 0 when the server would take the file, 2 when not.

Example:
  interlock config check /etc/interlock/interlock.yaml`
}

// Run checks a file without starting anything.
func (c *configCheckCmd) Run(e *env) error {
	path := c.File
	if path == "" {
		path = app.Paths{Dir: e.global.Data}.ConfigFile()
	}
	cfg := app.Default(os.Getuid())
	if err := config.Load(path, &cfg); err != nil {
		return err
	}
	return e.show(map[string]string{"file": path, "verdict": "ok"}, func(w io.Writer) { _, _ = fmt.Fprintf(w, "%s: ok\n", path) })
}

type configPrintCmd struct {
	File string `arg:"" optional:"" help:"A file to read over the defaults." type:"path"`
}

// Help implements kong's long help.
func (configPrintCmd) Help() string {
	return `The password of a database is shown as xxxxx.

Example:
  interlock config print > interlock.yaml`
}

// Run prints the configuration as YAML.
func (c *configPrintCmd) Run(e *env) error {
	cfg, err := loadConfig(e, c.File)
	if err != nil {
		return err
	}
	return config.Print(e.out, &cfg)
}

// loadConfig reads the named file, or the data directory's own where there is
// one, over the defaults.
func loadConfig(e *env, file string) (app.Config, error) {
	cfg := app.Default(os.Getuid())
	if file != "" {
		return cfg, config.Load(file, &cfg)
	}
	path := app.Paths{Dir: e.global.Data}.ConfigFile()
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return cfg, nil
	} else if err != nil {
		return cfg, core.Wrap(core.KindUnavailable, "config", err)
	}
	return cfg, config.Load(path, &cfg)
}

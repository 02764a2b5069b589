package main

import (
	"fmt"
	"io"
	"runtime/debug"
)

type versionCmd struct{}

// Help implements kong's long help.
func (versionCmd) Help() string {
	return `Example:
  interlock version --json`
}

// Run prints what the build knows of itself.
func (versionCmd) Run(e *env) error {
	v := map[string]string{"version": "unreleased"}
	if info, ok := debug.ReadBuildInfo(); ok {
		v["version"], v["go"] = info.Main.Version, info.GoVersion
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" || s.Key == "vcs.modified" || s.Key == "CGO_ENABLED" {
				v[s.Key] = s.Value
			}
		}
	}
	return e.show(v, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "interlock %s %s\n", v["version"], v["go"])
	})
}

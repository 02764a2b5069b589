package main

import (
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/coverage"
	"github.com/interlock-security/interlock/siem/hunt"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

// coverageOf notes all events of files and of those below folders, as a hunt
// would show them to the rules. What can't be read is told beside the report.
func coverageOf(e *env, paths []string) (*coverage.Seen, error) {
	router, err := sigma.Compile(nil, sigma.Options{Aliases: normalise.Aliases, Routes: taxonomy.Routes()})
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "rules coverage", err)
	}
	seen := coverage.NewSeen()
	config := hunt.Config{Engine: router, Paths: paths, Stdin: e.in, Now: time.Now(), Progress: &hunt.Progress{}}
	bar := drawHunt(e, paths, &config)
	var found []string
	res, err := hunt.Each(e.ctx, config, func(ev hunt.Event) bool {
		found = found[:0]
		for _, f := range ev.Vouched {
			found = append(found, f.Name)
		}
		seen.Add(time.Time{}, ev.Sources, ev.JSON, found)
		return true
	})
	bar.done()
	if err != nil {
		return nil, err
	}
	tellFaults(e.err, res)
	seen.Unread(res.FaultCount)
	if res.Incomplete != "" {
		seen.Cut()
	}
	return seen, e.ctx.Err()
}

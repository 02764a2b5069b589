package main

import (
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/rules"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

// localRules compiles the shipped rules and, beside them, those of a file or
// folder, as the server does: one with the id or name of a shipped rule takes
// its place.
func localRules(path string) (*sigma.Engine, error) {
	shipped, err := rules.Shipped()
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "rules", err)
	}
	var own []*sigma.Rule
	if path != "" {
		files, err := ruleFiles(path)
		if err != nil {
			return nil, err
		}
		if own, err = parseRules(files); err != nil {
			return nil, &core.Error{Kind: core.KindInvalid, Op: "rules", Err: err, Hint: "see all that is wrong with: interlock rules check " + path}
		}
	}
	all, err := parseRules(shipped)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(r *sigma.Rule) bool {
		return slices.ContainsFunc(own, func(mine *sigma.Rule) bool { return mine.ID == r.ID || r.Name != "" && mine.Name == r.Name })
	})
	return sigma.Compile(append(all, own...), sigma.Options{Aliases: normalise.Aliases, Routes: taxonomy.Routes(), Now: time.Now()})
}

func parseRules(files []rules.File) ([]*sigma.Rule, error) {
	var out []*sigma.Rule
	for _, f := range files {
		found, err := sigma.Parse(f.Name, []byte(f.Text))
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

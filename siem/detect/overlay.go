package detect

import (
	"fmt"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/rules"
	"github.com/interlock-security/interlock/siem/sigma"
)

// Overlay puts a site's own rules beside the shipped ones. A rule of the site
// with the id or the name of a shipped one takes its place; replaced names what
// gave way, so that whoever calls can say so: a shipped rule never goes quietly.
func Overlay(shipped, own []rules.File) (files []rules.File, replaced []string, err error) {
	ids, names := map[string]bool{}, map[string]bool{}
	for _, f := range own {
		mine, err := sigma.Parse(f.Name, []byte(f.Text))
		if err != nil {
			return nil, nil, fmt.Errorf("detect.Overlay: %w", err)
		}
		for _, r := range mine {
			ids[r.ID] = true
			names[r.Name] = r.Name != "" || names[r.Name]
		}
	}
	for _, f := range shipped {
		theirs, err := sigma.Parse(f.Name, []byte(f.Text))
		if err != nil {
			return nil, nil, fmt.Errorf("detect.Overlay: %w", err)
		}
		gone := 0
		for _, r := range theirs {
			if ids[r.ID] || names[r.Name] {
				gone++
				replaced = append(replaced, ruleOf(r).Name)
			}
		}
		switch {
		case gone == 0:
			files = append(files, f)
		case gone < len(theirs):
			return nil, nil, core.E(core.KindConflict, "detect.Overlay", fmt.Sprintf("%s holds %d rules and %d of them have a stand-in; give all of them one", f.Name, len(theirs), gone))
		}
	}
	return append(files, own...), replaced, nil
}

package detect_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/rules"
	"github.com/interlock-security/interlock/siem/sigma"
)

// ruleText is a rule file of its own.
func ruleText(id, name string) string {
	return "title: T\nid: 7c3b0b06-6d0d-4a7e-9a59-0b2f0f3b5a" + id + "\nname: " + name + "\nauthor: A\nlevel: low\n" +
		"logsource:\n  product: linux\ndetection:\n  s:\n    user: x\n  condition: s\n"
}

func TestOverlay(t *testing.T) {
	shipped := []rules.File{{Name: "a.yml", Text: ruleText("01", "one")}, {Name: "b.yml", Text: ruleText("02", "two")}}
	for name, c := range map[string]struct {
		own      []rules.File
		files    string
		replaced []string
	}{
		"nothing":              {nil, "a.yml b.yml", nil},
		"a rule of its own":    {[]rules.File{{Name: "o.yml", Text: ruleText("03", "three")}}, "a.yml b.yml o.yml", nil},
		"the same id":          {[]rules.File{{Name: "o.yml", Text: ruleText("02", "mine")}}, "a.yml o.yml", []string{"two"}},
		"the same name":        {[]rules.File{{Name: "o.yml", Text: ruleText("03", "one")}}, "b.yml o.yml", []string{"one"}},
		"the same file name":   {[]rules.File{{Name: "a.yml", Text: ruleText("03", "three")}}, "a.yml b.yml a.yml", nil},
		"one's id, two's name": {[]rules.File{{Name: "o.yml", Text: ruleText("01", "two")}}, "o.yml", []string{"one", "two"}},
	} {
		t.Run(name, func(t *testing.T) {
			files, replaced, err := detect.Overlay(shipped, c.own)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, f := range files {
				names = append(names, f.Name)
			}
			if got := strings.Join(names, " "); got != c.files || !reflect.DeepEqual(replaced, c.replaced) {
				t.Errorf("files %s, replaced %v", got, replaced)
			}
			if _, err := detect.NewRuleset(files); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOverlayRefuses(t *testing.T) {
	both := []rules.File{{Name: "ab.yml", Text: ruleText("01", "one") + "---\n" + ruleText("02", "two")}}
	if _, _, err := detect.Overlay(both, []rules.File{{Name: "o.yml", Text: ruleText("02", "two")}}); core.KindOf(err) != core.KindConflict {
		t.Errorf("half of a file replaced: %v", err)
	}
	_, _, err := detect.Overlay(both, []rules.File{{Name: "o.yml", Text: strings.Replace(ruleText("03", "x"), "user: x", "user|startwith: x", 1)}})
	var at *sigma.Error
	if !errors.As(err, &at) || at.File != "o.yml" || at.Line != 10 {
		t.Errorf("a modifier that is none: %v", err)
	}
}

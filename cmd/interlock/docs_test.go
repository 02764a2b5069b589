package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/interlock-security/interlock/test/docs"
)

// TestPagesSayWhatTheGrammarTakes parses each command line that a page shows, so
// that a renamed flag is noticed where people read it.
func TestPagesSayWhatTheGrammarTakes(t *testing.T) {
	pages, err := docs.Load("../..")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, p := range pages {
		for _, c := range p.Commands() {
			if c.Program != "interlock" {
				continue
			}
			found++
			if err := takes(t, c); err != nil {
				t.Errorf("%s:%d: interlock %s: %v", c.Page, c.Line, strings.Join(c.Args, " "), err)
			}
		}
	}
	if found < 30 {
		t.Errorf("found only %d command lines", found)
	}
}

// TestHelpSaysWhatTheGrammarTakes does the same for the examples of the help.
func TestHelpSaysWhatTheGrammarTakes(t *testing.T) {
	for _, verb := range verbs(t) {
		var out bytes.Buffer
		run(context.Background(), append(verb, "--help"), nil, &out, &out)
		for _, c := range docs.Examples(out.String()) {
			if err := takes(t, c); c.Program == "interlock" && err != nil {
				t.Errorf("interlock %s --help: interlock %s: %v", strings.Join(verb, " "), strings.Join(c.Args, " "), err)
			}
		}
	}
}

// takes parses a command line without running it. One that running text names
// may be a verb alone, without what the verb needs.
func takes(t *testing.T, c docs.Command) error {
	t.Helper()
	parser, err := kong.New(new(grammar), kong.Vars{"data": "", "config": "", "advisories": ""}, kong.Exit(func(int) {}), kong.Writers(new(bytes.Buffer), new(bytes.Buffer)))
	if err != nil {
		t.Fatal(err)
	}
	if !c.Whole {
		traced, err := kong.Trace(parser, c.Args)
		if err != nil {
			return err
		}
		return traced.Error
	}
	_, err = parser.Parse(c.Args)
	return err
}

// Command sigma says which rules of a file find the events that come in, one
// JSON object a line: it shows the detection engine by itself.
//
//	go run ./examples/sigma rules.yml < events.ndjson
package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

func main() {
	text, err := os.ReadFile(os.Args[1])
	rules, err := sigma.Parse(os.Args[1], must(text, err))
	engine, err := sigma.Compile(must(rules, err), sigma.Options{Routes: taxonomy.Routes(), Aliases: taxonomy.Aliases})
	view := must(engine, err).NewView()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		view.Reset()
		must(view, view.Load(in.Bytes()))
		engine.Match(view, view.Sources(), func(m sigma.Match) {
			_, _ = fmt.Fprintln(os.Stdout, m.Rule.Level, m.Rule.ID, m.Rule.Title, "by", m.Rule.Author)
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return v
}

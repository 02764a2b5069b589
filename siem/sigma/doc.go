// Package sigma is the detection language and its engine: it reads Sigma rules,
// correlations and filters (specification 2.1), compiles them, and matches
// events against them. It does no input or output, knows nothing of journals,
// tables or clocks, and other programs may import it.
//
// The way through it:
//
//	rules, err := sigma.Parse("rules/x.yml", data)   // every error says line and column
//	engine, err := sigma.Compile(rules, sigma.Options{Aliases: table, Routes: routes})
//	view := engine.NewView()                          // one per goroutine, reused
//	view.Reset()
//	view.Set("user.name", "anna")                     // what the normaliser found
//	err = view.Load(event)                            // what the source sent: a JSON object
//	engine.Match(view, view.Sources(), func(m sigma.Match) { ... })
//
// What is wrong with a rule is said when it is read, by name and place, and with
// what to write instead; nothing is skipped quietly. [Parse] stops at the first
// error, [Check] says everything, warnings too. The language, with an example
// of each part that a test runs, is in docs/reference/sigma.md. Field aliases
// resolve when rules compile, and no map is built for an event.
//
// Correlations are read and compiled here; package correlate, beside this one,
// takes the matches and says what fires.
package sigma

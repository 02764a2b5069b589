// Package sigma is the detection language and its engine: it reads Sigma rules
// and correlations (specification 2.1), compiles them, and matches events
// against them. It does no input or output, knows nothing of journals, tables
// or clocks, and other programs may import it.
//
// The way through it:
//
//	rules, err := sigma.Parse("rules/x.yml", data)   // every error says line and column
//	engine, err := sigma.Compile(rules, sigma.Options{Aliases: table})
//	view := engine.NewView()                          // one per goroutine, reused
//	view.Reset()
//	view.Set("user.name", "anna")                     // what the normaliser found
//	err = view.Load(event.Fields, sources)            // what the source sent
//	engine.Match(view, func(m sigma.Match) { ... })
//
// A rule that uses something this package does not do is refused when it is
// read, by name and with its position; nothing is skipped quietly. Field
// aliases resolve when rules compile, and no map is built for an event.
//
// Correlations are read and compiled here; package correlate, beside this one,
// takes the matches and says what fires.
package sigma

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
// # How thousands of rules cost little
//
// An event is not asked every question of every rule. In this order:
//
//  1. [View.Load] goes over the bytes of the JSON once (internal/scan). It notes
//     where the values are whose paths some rule asks for, and copies nothing.
//  2. Routes say of which logsources the event is. What follows is worked out
//     once for each kind of event: a program (program.go), the rules that can
//     hold for such events and an index for each of their fields.
//  3. Every rule has a witness (witness.go): the rarest thing that must be in an
//     event for the rule to hold. Of questions that must all hold one is enough;
//     of alternatives each must bring its own; a "not" brings none. A regular
//     expression brings the texts without which it can't match (required.go).
//  4. The values of the fields are laid into the program's slots, folded, and
//     looked up in its indexes (internal/needle), which answer for all texts of
//     all rules at once. What is found names the few rules worth asking; most
//     events name none.
//  5. Only those rules are evaluated (match.go): cheap questions first, each at
//     most once an event, long lists of texts as one question (group.go).
//
// How often a text is seen is guessed at first, from what rules speak of
// (rarity.go). Views count what they find, and where a witness turns out to be
// common the program is built anew with a better one (coverage.go). That changes
// which rules are asked and never which hold: all rules whose witness is there
// are asked in full. A naive reference in the tests agrees, rule by rule.
//
// Nothing is allocated for an event once a view has grown, and all that grows
// with what strangers send is bounded.
//
// Correlations are read and compiled here; package correlate, beside this one,
// takes the matches and says what fires.
package sigma

// Package inventory tells which packages stand in a tree: a project's folder, an
// image's layers, a host's root. One walk asks every extractor, one small folder
// per ecosystem below this one; docs/reference/inventories.md lists what they
// read, docs/howto/new-extractor.md how to write another.
//
// It promises the same order in every run, a bound on everything that a file can
// demand, and that nothing is left out in silence: what is malformed, too large,
// of an unknown form or without versions is a [scanning.Gap] that names the file,
// the line and what to do.
package inventory

// Package pub reads what Dart and Flutter code is made of: pubspec.lock.
package pub

import (
	"context"
	"errors"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
	"github.com/interlock-security/interlock/scanning/inventory/lockyaml"
)

const ecosystem = "Pub"

// Extractors are those of pub.
func Extractors() []*extract.Extractor {
	return []*extract.Extractor{{
		Name: "pub/lock", Ecosystem: ecosystem, Names: []string{"pubspec.lock"}, Read: read,
		Reads: "hosted packages with checksums; direct and dev. Those from git are a gap, those of this project and of the SDK are left out",
	}}
}

func read(_ context.Context, in *extract.Input, out *extract.Sink) error {
	data, err := in.Text()
	if err != nil {
		return err
	}
	docs, err := lockyaml.Parse(string(data))
	var at *lockyaml.Error
	if errors.As(err, &at) {
		return extract.Malformed(at.Line, "not the YAML of a lockfile: %s", at.Msg)
	}
	if err != nil {
		return err
	}
	if len(docs) == 0 || docs[0].Get("packages").Line == 0 {
		return extract.Malformed(0, "no packages: not a lockfile of pub")
	}
	for _, n := range docs[0].Get("packages").Nodes {
		tell(n, out)
	}
	return nil
}

func tell(n *lockyaml.Node, out *extract.Sink) {
	version := n.Get("version").Value
	switch source := n.Get("source").Value; {
	case source == "sdk" || source == "path":
		return
	case source == "git":
		out.Unknown(n.Line, n.Key, "comes from a git repository; its version "+version+" need not be the published one")
		return
	case version == "":
		out.Unknown(n.Line, n.Key, "the lockfile gives no version of it")
		return
	}
	wanted := n.Get("dependency").Value
	out.Add(scanning.Package{
		Ecosystem: ecosystem, Name: n.Key, Version: version, PURL: extract.PURL("pub", n.Key, version),
		Direct: strings.HasPrefix(wanted, "direct"), Dev: wanted == "direct dev",
		Hashes: extract.Hex("sha256", n.Get("description").Get("sha256").Value),
	})
}

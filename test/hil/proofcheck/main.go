// Command proofcheck verifies proofs of audit log entries with nothing but
// public modules: it is what a third party has to write who trusts no line of
// this product. A test holds it to that.
//
// It reads tlog-proof files (c2sp.org/tlog-proof), verifies each under the log
// key that it is given, and prints one line of JSON an entry: where it stands
// and its clear header.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/formats/proof"
	merkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "proofcheck:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) < 2 {
		return errors.New("usage: proofcheck LOG-KEY FILE [FILE]")
	}
	verifier, err := note.NewVerifier(args[0])
	if err != nil {
		return fmt.Errorf("log key: %w", err)
	}
	for _, path := range args[1:] {
		file, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		e, err := verify(file, verifier)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := json.NewEncoder(out).Encode(e); err != nil {
			return err
		}
	}
	return nil
}

// entry is what a proof has shown.
type entry struct {
	Origin string          `json:"origin"`
	Index  uint64          `json:"index"`
	Size   uint64          `json:"size"` // of the tree that it was proved in
	Header json.RawMessage `json:"header"`
}

// verify holds the entry's bytes against the signed checkpoint.
func verify(file []byte, verifier note.Verifier) (*entry, error) {
	var p proof.TLogProof
	if err := p.Unmarshal(file); err != nil {
		return nil, err
	}
	head, _, _, err := log.ParseCheckpoint(p.Checkpoint, verifier.Name(), verifier)
	if err != nil {
		return nil, err
	}
	path := make([][]byte, len(p.Hashes))
	for i := range p.Hashes {
		path[i] = p.Hashes[i][:]
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(p.ExtraData)
	if err := merkle.VerifyInclusion(rfc6962.DefaultHasher, p.Index, head.Size, leaf, path, head.Hash); err != nil {
		return nil, err
	}
	header, _, found := bytes.Cut(p.ExtraData, []byte("\n"))
	if !found || !json.Valid(header) {
		return nil, fmt.Errorf("the entry has no header line")
	}
	return &entry{Origin: head.Origin, Index: p.Index, Size: head.Size, Header: header}, nil
}

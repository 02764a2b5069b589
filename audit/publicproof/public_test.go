package publicproof_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/formats/proof"
	merkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

// verify is all that a third party has to write.
func verify(file []byte, vkey string) ([]byte, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, err
	}
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
	return p.ExtraData, merkle.VerifyInclusion(rfc6962.DefaultHasher, p.Index, head.Size, leaf, path, head.Hash)
}

// The files in testdata were made by a log with the seed 07 07 ...; they are
// never made again, so that proofs handed out once stay good.
func TestAProofVerifiesWithPublicModulesOnly(t *testing.T) {
	file, err := os.ReadFile(filepath.Join("testdata", "entry-7.tlog-proof"))
	if err != nil {
		t.Fatal(err)
	}
	vkey, err := os.ReadFile(filepath.Join("testdata", "log.vkey"))
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := verify(file, string(vkey))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%x", sha256.Sum256(leaf)), "1521c89063526001ad3d96fcbb61187812d3642bf405224f22d7dd43cf95e955"; got != want {
		t.Errorf("the proof carries another leaf: %s", got)
	}
	for i := range file {
		if i+1 < len(file) && file[i+1] == '=' {
			continue // base64's unused bits say nothing
		}
		changed := append([]byte(nil), file...)
		changed[i] ^= 1
		if leafNow, err := verify(changed, string(vkey)); err == nil && string(leafNow) == string(leaf) {
			t.Errorf("byte %d may be changed", i)
		}
	}
}

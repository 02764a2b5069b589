package console

import (
	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/formats/proof"
	merkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

// verifyPublicly checks a proof as a third party does, with public modules only,
// and returns the entry that it proves.
func verifyPublicly(file []byte, vkey string) ([]byte, error) {
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

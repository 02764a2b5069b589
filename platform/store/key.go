package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"lukechampine.com/adiantum"

	"github.com/interlock-security/interlock/core"
)

// How a database and its log begin, once decrypted. The last bit of the log's
// magic number tells the byte order of its checksums.
var (
	databaseMagic = []byte("SQLite format 3\x00")
	logMagic      = []byte{0x37, 0x7f, 0x06}
)

// proveKey decrypts the first block of the database, or else of its log, before
// SQLite sees either. Under a wrong key the log looks empty to SQLite, which
// would remove it on close together with every transaction in it. Either block
// is enough: a power cut may have torn the other.
func proveKey(path string, key core.Secret) error {
	database, err := firstBlock(path)
	if err != nil {
		return err
	}
	log, err := firstBlock(path + "-wal")
	if err != nil {
		return err
	}
	if database == nil && log == nil {
		return nil // a new database
	}
	cipher := adiantum.New(key.Reveal())
	tweak := make([]byte, 8) // the block's offset, as the file layer has it
	if database != nil && bytes.HasPrefix(cipher.Decrypt(database, tweak), databaseMagic) {
		return nil
	}
	if log != nil && bytes.HasPrefix(cipher.Decrypt(log, tweak), logMagic) {
		return nil
	}
	return wrongKey(path)
}

// firstBlock returns nil for a file that is absent or has no whole block.
func firstBlock(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "store.Open", err)
	}
	defer func() { _ = f.Close() }() // opened for reading only
	block := make([]byte, pageSize)
	_, err = io.ReadFull(f, block)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil
	}
	return block, core.Wrap(core.KindUnavailable, "store.Open", err)
}

func wrongKey(path string) error {
	return core.E(core.KindDamaged, "store.Open", fmt.Sprintf("the key does not open %s, or its beginning is damaged; nothing was changed", path)).
		WithHint("check that the host keyring belongs to this data directory")
}

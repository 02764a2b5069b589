// Package wal is an append-only log of frames in segment files. The audit log
// and the device's spool stand on it.
//
// What it promises:
//
//   - When [Log.Append] returns nil, the frame is on disk: one write, one
//     fdatasync. Segments are filled with zeros beforehand, so that fdatasync
//     carries no metadata.
//   - A frame that was acknowledged is never dropped, changed or moved without
//     [Open] or [Log.Scan] saying so. Only a torn tail is cut: bytes of a write
//     that was never acknowledged, with no frame of a later write behind them.
//     The owner sees those bytes first ([Options.OnTorn]) and may refuse.
//     Everything else is core.KindDamaged, naming segment and offset, and is
//     left as it was found.
//   - After a failed fsync nothing is appended any more until the log is opened
//     again: the kernel may have dropped the dirty pages and a second fsync
//     would lie.
//   - With [Options.Reserve] one whole preallocated segment is kept back for
//     [Log.AppendReserved], so that what must be recorded on a full disk can be.
//
// What it cannot know: whether whole frames are missing at its end, or whether
// the whole folder is yesterday's. The owner compares with a size known
// elsewhere.
//
// A segment file begins with a 48-byte header: magic "ILKWAL1\n", segment
// number, sequence of its first frame, random salt (8 bytes each, little
// endian), 12 zero bytes, CRC32C of the 44 bytes before. A frame is: payload
// length (4), CRC32C over salt, both sequences, payload and length (4),
// sequence (8), sequence of the first frame of the same write (8), payload.
// Sequences begin at 1 and have no gaps. The salt makes it useless to smuggle
// bytes that look like a frame into a payload.
package wal

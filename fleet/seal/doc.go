// Package seal is the registry of the seals that people put on machines: tape
// over a seam, wire through a hasp, lacquer on a screw. A seal keeps nobody out.
// It tells afterwards that somebody was there, and only if a person looks.
//
// It stands beside the registry of devices, whose tables and journal it uses.
//
// # What it promises
//
//   - A seal is known by the serial that is printed on it, which is used once:
//     one that was removed or replaced keeps its history and its serial.
//   - Who looks, looks at a photo of the day the seal was applied. A photo is
//     kept as it came, encrypted and under its SHA-256; what is shown of it has
//     no metadata, so nobody learns where a phone was.
//   - A seal that was found broken, missing or another one does not become whole
//     by a later word. It is replaced, with a reason.
//   - What is wrong, and what nobody looked at in time, becomes an event in the
//     journal, where rules find it; see the constants named Type.
//   - The Guard's permit stands in the audit log before anything changes, and a
//     fact after it.
package seal

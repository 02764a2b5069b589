// Package hunt runs Sigma rules over files: exports, copied log folders, event
// logs of Windows, whatever an investigation brings home. It stands beside
// detect, which does the same with a journal: the engine, the field names and
// the correlations are theirs, the reading is done here.
//
//	files -> readers -> blocks -> workers (one view each) -> merge -> Result
//
// What a file holds is told by its content, never by its name. A reader cuts it
// into blocks of whole records; blocks of many files are matched at the same
// time, and their results are put together in the order of the files, so that a
// hunt gives the same result on any number of cores.
//
// What the package promises:
//
//   - Nothing is skipped silently. What can't be read is a [Fault] with file,
//     place and reason, and everything else is still searched.
//   - An event's number counts the records of its file from zero, those that
//     could not be read included.
//   - Memory is bounded by the number of cores and not by what is read: blocks
//     are reused, arrays are streamed, a record has a largest size, compressed
//     data a largest ratio. Only matches accumulate, up to a stated number.
//   - The bytes are an attacker's: no content makes it panic, recurse without
//     bound, open a device or leave the folders that it was given.
//
// It prints nothing and decides nothing about the screen; cmd/interlock does.
package hunt

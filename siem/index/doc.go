// Package index is the stage that sends events to the event store: raw in,
// searchable rows out, nothing in the state database but its cursor.
//
// The store answers before rows are on a disk, loses what it held when it is
// killed, and takes the same row twice. So the stage keeps the books. Each row
// carries the partition, the offset and the index in its frame at which the
// journal holds its event. The cursor trails: it moves past an event only two
// flush intervals after the event was sent, and only if the store then still
// counts as many rows of that stretch as were sent. When it does not, after a
// send that failed, and at every start, the stage goes back to its cursor, asks
// which events from there on the store has, and sends the others. Once that has
// settled each event is in the store exactly once, whoever was killed meanwhile.
//
// The journal keeps what the cursor has not passed. A store that stays away
// therefore costs disk, which [Index.State] tells.
package index

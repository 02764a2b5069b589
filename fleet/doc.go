// Package fleet is the server's side of the devices: who they are, what they
// last said, what they are told, and the listener that they speak to.
//
// It stands behind link, whose bytes it verifies, and before siem and response:
// what devices report goes into the journal, what response decides goes out as
// orders. It imports nothing of theirs.
//
// # The parts
//
//   - [Registry]: the rows of fleet_devices and what is known of each device.
//     A device has a management identity, which only retirement ends, beside
//     its state (TRUST F09).
//   - [Enrolment]: one-time tokens, the queue of devices that wait for a
//     person, renewal of certificates that have run out, certificates for the
//     programs on a device that is not contained (F21, F09).
//   - [Orders]: what a device is told. The server signs what tightens; what
//     loosens waits for the signatures of persons, and each is verified against
//     the trust root before it counts (F01 to F04, F07).
//   - [Intake]: signed batches in, receipts out (F08).
//   - [Fold]: the stage of the journal that keeps the registry's picture of a
//     device: epoch, sequence, sensors, latches, silence; it raises the alarms
//     of the fleet itself.
//   - [Listener]: TLS 1.3, its own port, its routes; it checks who a device is
//     on every request and for every order that it streams (F30).
//
// # What is durable when
//
// A receipt leaves only after the batch is in the journal and the log holds the
// leaf of its commit group. A crash in between loses the answer and nothing
// else: the device sends again, the journal knows the batch by its key, and the
// answer is a receipt. Alarms of the fold commit with its cursor into
// fleet_alarms and go from there into the journal under a key of their own, so
// each of them is there once.
package fleet

// Package events speaks to the event store: VictoriaLogs, as a child process of
// this binary ([Supervisor]) or as a cluster that somebody else runs. Both are
// asked through one [Client] over HTTP, so that what is tested against the one
// holds for the other.
//
// The store is a search index beside the journal and not a record (ARCHITECTURE
// "What is true of the flow"): it may be away, or thrown away, and nothing but
// searching waits for it. Every row says where in the journal its event stands,
// which is what makes the index rebuildable.
//
// # What is promised
//
//   - A search sees its own tenant's rows and no others, whatever its text says:
//     tenants are accounts of the store, chosen by a header that no LogsQL can
//     reach, and a filter that the store puts into the query and each of its
//     subqueries stands behind that.
//   - Answers are read strictly and with limits on a line, on the whole and on
//     the time: a store that misbehaves costs an error and no memory.
//   - While the store is away every call is KindUnavailable.
package events

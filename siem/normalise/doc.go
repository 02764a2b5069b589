// Package normalise says, in memory and while rules run, what an event means:
// which logsources it belongs to and what its fields are called in OCSF. The
// event itself is never changed; what is found goes to the caller through a
// function, field by field.
//
// # Where a failed login is counted
//
// sshd writes several lines about one failed login, and other lines when
// passwords are switched off. The lines are therefore of two kinds:
//
//   - a guess: "Failed password for ...", "Failed keyboard-interactive/pam for
//     ...". Each is one failed login.
//   - an echo: "Invalid user ...", "Failed none ...", "Failed publickey ...",
//     "Connection closed by authenticating user ...", "Disconnected from
//     invalid user ...", "maximum authentication attempts exceeded ...". All
//     echoes of one connection together are one failed login, and none at all
//     where the connection has a guess.
//
// Both kinds are failed logins to a rule. [FieldAttempt] names the connection
// and [FieldEcho] marks echoes, and correlations count by them. A key agent that
// offers five keys is one failed login. PAM's own lines name neither port nor
// method and are not counted: sshd says the same in a line of its own. A line
// "message repeated 3 times" is one event and counts once.
//
// # Records of the audit system
//
// What one system call did is several records with one serial: SYSCALL has the
// program, EXECVE and PROCTITLE the command, PATH the files. Each is an event of
// its own, with the names that auditd gives; see [ParseAudit]. They are believed
// from auditd's own file, from its syslog plugin and where the journal says that
// it got them from the kernel, and from nobody else.
//
// # Names that lie
//
// A user name is text that a stranger chose: it may hold blanks and the words
// " from 192.0.2.1 port 22 ssh2". Lines are therefore read from the right,
// where sshd itself wrote the address last. Where outside text stands on both
// sides of the address (certificate ids) and it can't be told which address is
// sshd's, the line is unparsed, and counted as such.
//
// A directory may be called "x ; USER=nobody", so every USER of a line of sudo is
// a value of the field, and the true one is never hidden by another.
package normalise

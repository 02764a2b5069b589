// Package taxonomy is what is known about the names of others: how a raw event
// says which logsources it is of ([Routes]), and under which names an event
// carries the fields that Sigma rules ask for ([Aliases]). It is data and the
// little code that lays it out: no input, no output, no clock. It stands beside
// the engine, knows only its [sigma.Logsource] and [sigma.Route], and other
// programs may import both.
//
//	engine, err := sigma.Compile(rules, sigma.Options{
//		Aliases: taxonomy.Aliases, Routes: taxonomy.Routes(),
//	})
//
// # Shapes
//
// The same event of Windows comes flat (NXLog and most exports: Channel,
// EventID), from Winlogbeat and Elastic Agent (winlog.channel, event.code), from
// a Wazuh agent (data.win.system.channel), and as XML turned into JSON
// (Event.System.Channel, Event.EventData.X; with EventID as {"#text": ...} or
// {"Value": ...}). Events of endpoints come in ECS and OCSF too, those of Linux
// from journald and auditd. All these names are known here, and a rule matches
// whichever it meets.
//
// # Promises
//
// A number is nothing without its channel: no service of Windows is told by
// EventID alone. Every route that holds counts, and no route asks that something
// be absent, so an event that claims a second thing is asked more rules and
// never fewer. A name is an alias only for the logsources in which it means the
// same thing; `ObjectName` is a registry key in Security 4657 alone.
//
// # What names can't do
//
// An alias gives a field another name, never another value:
//
//   - Security 4688 has process ids in hexadecimal (0x1a4), Sysmon in decimal.
//   - Sysmon's User is DOMAIN\name; SubjectUserName and ECS user.name are the
//     bare name, and the domain stands in a field of its own.
//   - Sysmon's Hashes is one text ("MD5=..,SHA256=.."). ECS and OCSF split it;
//     a rule on "SHA256=AB.." finds nothing there, one on the bare hash does.
//   - Security 4657 writes \REGISTRY\MACHINE\.. for HKLM\.., and the name of the
//     value in ObjectValueName, so that endings of TargetObject don't hold.
//   - Security 5156 writes the program as \device\harddiskvolume2\.., and the
//     direction as %%14593 instead of Initiated.
//   - auditd writes a command as a0, a1, ... in EXECVE and as one text in
//     PROCTITLE, and neither says which program it was (SYSCALL does).
//   - XML turned into JSON with {"@Name": "Image", "#text": "..."} has the names
//     of fields as values.
package taxonomy

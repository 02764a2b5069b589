package taxonomy

import "strings"

// auditd gives the names of a record's field in the journal and in Elastic's
// modules. The journal has names of its own for what every record knows.
func auditd(field string) []string {
	out := []string{"auditd.log." + field, "auditd.data." + field, "_AUDIT_FIELD_" + strings.ToUpper(field)}
	return append(out, auditdNames[field]...)
}

var auditdNames = map[string][]string{
	"type":      {"_AUDIT_TYPE_NAME", "auditd.log.record_type", "auditd.message_type"},
	"exe":       {"_EXE", "process.executable"},
	"comm":      {"_COMM", "process.name"},
	"proctitle": {"_CMDLINE", "process.title"},
	"uid":       {"_UID", "user.id"},
	"gid":       {"_GID"},
	"euid":      {"user.effective.id"},
	"auid":      {"_AUDIT_LOGINUID", "user.audit.id"},
	"pid":       {"_PID", "process.pid"},
	"ppid":      {"process.parent.pid"},
	"cwd":       {"process.working_directory"},
	"key":       {"tags"},
	"name":      {"auditd.paths.name", "file.path"},
	"nametype":  {"auditd.paths.nametype"},
	"unit":      {"auditd.data.unit", "service.name"},
	// SYSCALL is the call's name, which auditd adds where log_format=ENRICHED.
	"SYSCALL": {"syscall", "auditd.data.syscall"},
}

// auditedProcess are the names that records of execve have for what Sysmon says
// in one event: SYSCALL the program, PROCTITLE or (joined by the normaliser)
// EXECVE the command.
var auditedProcess = map[string][]string{
	"Image":            {"exe", "_EXE", "event.exec.target.executable.path"},
	"CommandLine":      {"proctitle", "_CMDLINE", "process.title"},
	"CurrentDirectory": {"cwd"},
	"ProcessId":        {"pid", "_PID"}, "ParentProcessId": {"ppid"},
}

var linuxTables = []table{
	{product: "linux", service: "auditd", shape: auditd},
	{product: "linux", category: "process_creation", also: auditedProcess},
	{product: "macos", category: "process_creation", also: only(auditedProcess, "Image")},
	{product: "macos", category: "file_event", also: map[string][]string{
		"TargetFilename": {"event.create.destination.existing_file.path"},
		"Image":          {"process.executable.path"},
	}},
	{product: "linux", service: "sudo", also: map[string][]string{"USER": {"sudo.user"}}},
}

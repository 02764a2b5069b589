package taxonomy

// started are the names of a process that was started, of the one that started
// it, and of who it runs as. ECS calls them process and process.parent, OCSF
// process and actor.process.
var started = map[string][]string{
	"Image":             {"process.executable", "process.file.path"},
	"CommandLine":       {"process.command_line", "process.cmd_line"},
	"CurrentDirectory":  {"process.working_directory"},
	"ParentImage":       {"process.parent.executable", "process.parent_process.file.path", "actor.process.file.path"},
	"ParentCommandLine": {"process.parent.command_line", "process.parent_process.cmd_line", "actor.process.cmd_line"},
	"User":              {"user.name", "process.user.name", "actor.user.name"},
	"ParentUser":        {"process.parent.user.name", "actor.process.user.name"},
	"ProcessId":         {"process.pid"},
	"ParentProcessId":   {"process.parent.pid", "process.parent_process.pid", "actor.process.pid"},
	"ProcessGuid":       {"process.entity_id", "process.uid"},
	"ParentProcessGuid": {"process.parent.entity_id", "actor.process.uid"},
	"LogonId":           {"process.session.uid", "actor.session.uid"},
	"IntegrityLevel":    {"process.Ext.token.integrity_level_name", "process.integrity"},
	"GrandParentImage":  {"process.Ext.ancestry.executable", "actor.process.parent_process.file.path"},
	"OriginalFileName":  {"process.pe.original_file_name", "process.file.internal_name"},
	"Description":       {"process.pe.description", "process.file.desc"},
	"Company":           {"process.pe.company", "process.file.company_name"},
	"Product":           {"process.pe.product", "process.file.product.name"},
	"FileVersion":       {"process.pe.file_version", "process.file.version"},
	"Hashes":            {"process.hash.md5", "process.hash.sha1", "process.hash.sha256", "process.pe.imphash", "process.file.hashes.value"},
	"md5":               {"process.hash.md5"}, "sha1": {"process.hash.sha1"}, "sha256": {"process.hash.sha256"},
	"imphash": {"process.pe.imphash", "process.pe.import_hash"},
}

// acting are the names of the process that did something to something else: in
// OCSF the actor's, which above is the parent's.
var acting = map[string][]string{
	"Image":             {"process.executable", "actor.process.file.path"},
	"CommandLine":       {"process.command_line", "actor.process.cmd_line"},
	"ParentImage":       {"process.parent.executable", "actor.process.parent_process.file.path"},
	"ParentCommandLine": {"process.parent.command_line", "actor.process.parent_process.cmd_line"},
	"User":              {"user.name", "actor.user.name"},
	"ProcessId":         {"process.pid", "actor.process.pid"},
	"ProcessGuid":       {"process.entity_id", "actor.process.uid"},
	"IntegrityLevel":    {"process.Ext.token.integrity_level_name", "actor.process.integrity"},
}

var (
	file = map[string][]string{
		"TargetFilename":  {"file.path"},
		"FileName":        {"file.path"},
		"CreationUtcTime": {"file.created", "file.created_time_dt"},
		"Hashes":          {"file.hash.md5", "file.hash.sha1", "file.hash.sha256", "file.pe.imphash", "file.hashes.value"},
	}
	renamed = map[string][]string{
		"SourceFilename": {"file.Ext.original.path"},
		"TargetFilename": {"file_result.path"},
	}
	connection = map[string][]string{
		"SourceIp": {"source.ip", "src_endpoint.ip"}, "SourcePort": {"source.port", "src_endpoint.port"},
		"SourceHostname": {"source.domain", "src_endpoint.hostname"},
		"DestinationIp":  {"destination.ip", "dst_endpoint.ip"}, "DestinationPort": {"destination.port", "dst_endpoint.port"},
		"DestinationHostname": {"destination.domain", "dst_endpoint.hostname"},
		"Protocol":            {"network.transport", "connection_info.protocol_name"},
	}
	registry = map[string][]string{
		"TargetObject": {"registry.path", "reg_key.path", "reg_value.path"},
		"Details":      {"registry.data.strings", "reg_value.data"},
	}
	resolved = map[string][]string{
		"QueryName":    {"dns.question.name", "query.hostname"},
		"QueryResults": {"dns.answers.data", "answers.rdata"},
		"QueryStatus":  {"sysmon.dns.status", "rcode_id"},
	}
	loaded = map[string][]string{
		"ImageLoaded":      {"dll.path", "file.path", "module.file.path", "driver.file.path"},
		"Signed":           {"dll.code_signature.signed", "dll.code_signature.exists", "file.code_signature.signed"},
		"Signature":        {"dll.code_signature.subject_name", "file.code_signature.subject_name", "module.file.signature.certificate.subject", "driver.file.signature.certificate.subject"},
		"SignatureStatus":  {"dll.code_signature.status", "file.code_signature.status", "module.file.signature.state", "driver.file.signature.state"},
		"OriginalFileName": {"dll.pe.original_file_name", "file.pe.original_file_name", "module.file.internal_name"},
		"Description":      {"dll.pe.description", "file.pe.description", "module.file.desc"},
		"Company":          {"dll.pe.company", "file.pe.company", "module.file.company_name"},
		"Product":          {"dll.pe.product", "file.pe.product", "module.file.product.name"},
		"FileVersion":      {"dll.pe.file_version", "file.pe.file_version", "module.file.version"},
		"Hashes": {
			"dll.hash.md5", "dll.hash.sha1", "dll.hash.sha256", "dll.pe.imphash", "file.hash.md5", "file.hash.sha1", "file.hash.sha256", "file.pe.imphash",
			"module.file.hashes.value", "driver.file.hashes.value",
		},
	}
	// between are the names where one process does something to another.
	between = map[string][]string{
		"SourceImage":       {"process.executable", "actor.process.file.path"},
		"SourceCommandLine": {"process.command_line", "actor.process.cmd_line"},
		"SourceParentImage": {"process.parent.executable", "actor.process.parent_process.file.path"},
		"SourceUser":        {"user.name", "actor.user.name"},
		"SourceProcessId":   {"process.pid", "actor.process.pid"},
		"TargetImage":       {"Target.process.executable", "process.file.path"},
		"TargetProcessId":   {"Target.process.pid", "process.pid"},
		"GrantedAccess":     {"actual_permissions"},
		"StartModule":       {"module.file.path"},
		"StartFunction":     {"module.function_name"},
	}
	virus = map[string][]string{
		"Signature": {"malware.name", "threat.name"},
		"Filename":  {"file.path"},
		"Action":    {"event.action", "disposition"},
	}
)

// The names that the Security log has where Sysmon's differ.
var (
	security4688 = map[string][]string{
		"Image": {"NewProcessName"}, "CommandLine": {"ProcessCommandLine"}, "ParentImage": {"ParentProcessName"},
		"User": {"SubjectUserName"}, "LogonId": {"SubjectLogonId"}, "ProcessId": {"NewProcessId"}, "IntegrityLevel": {"MandatoryLabel"},
	}
	security4657 = map[string][]string{
		"Image": {"ProcessName"}, "User": {"SubjectUserName"}, "TargetObject": {"ObjectName"}, "Details": {"NewValue"},
	}
	security5156 = map[string][]string{
		"Image": {"Application"}, "SourceIp": {"SourceAddress"}, "DestinationIp": {"DestAddress"}, "DestinationPort": {"DestPort"},
	}
	security4689 = map[string][]string{"Image": {"ProcessName"}, "User": {"SubjectUserName"}}
	// What the detections of Microsoft Defender call it.
	defender1116 = map[string][]string{
		"Signature": {"Threat Name", "ThreatName"}, "Filename": {"Path"}, "Action": {"Action Name"},
	}
	// rendered stands for the unnamed strings of classic providers, which an
	// event has only in its message where a forwarder dropped them.
	rendered = map[string][]string{"Data": {"Message", "message", "Event.EventData.Data.#text", "EventData.Data.#text"}}
	// params are the same strings where Winlogbeat numbered them.
	params = map[string][]string{"Data": {"param1", "param2", "param3"}}
)

var endpointTables = []table{
	{product: "windows", category: "process_creation", own: security4688},
	{category: "process_creation", also: started},
	{product: "windows", category: "process_termination", own: security4689},
	{category: "process_termination", also: started},
	{product: "windows", category: "network_connection", own: security5156},
	{category: "network_connection", also: merged(acting, connection)},
	{product: "windows", category: "registry_event", own: security4657},
	{product: "windows", category: "registry_set", own: security4657},
	{category: "registry_event", also: merged(acting, registry)},
	{category: "registry_add", also: merged(acting, registry)},
	{category: "registry_set", also: merged(acting, registry)},
	{category: "registry_delete", also: merged(acting, registry)},
	{category: "registry_rename", also: merged(acting, registry)},
	{category: "file_event", also: merged(acting, file)},
	{category: "file_access", also: merged(acting, file)},
	{category: "file_change", also: merged(acting, file)},
	{category: "file_delete", also: merged(acting, file)},
	{category: "file_delete_detected", also: merged(acting, file)},
	{category: "file_rename", also: merged(acting, file, renamed)},
	{category: "file_block_executable", also: merged(acting, file)},
	{category: "file_block_shredding", also: merged(acting, file)},
	{category: "file_executable_detected", also: merged(acting, file)},
	{category: "create_stream_hash", also: merged(acting, file, map[string][]string{"Hash": file["Hashes"]})},
	{category: "image_load", also: merged(acting, loaded)},
	{category: "driver_load", also: merged(acting, loaded)},
	{category: "create_remote_thread", also: between},
	{category: "process_access", also: between},
	{category: "process_tampering", also: acting},
	{category: "raw_access_thread", also: acting},
	{category: "pipe_created", also: merged(acting, map[string][]string{"PipeName": {"file.name"}})},
	{category: "dns_query", also: merged(acting, resolved)},
	{category: "ps_script", also: map[string][]string{
		"ScriptBlockText": {"powershell.file.script_block_text"}, "Path": {"file.path"},
	}},
	{category: "ps_classic_start", own: params, also: rendered},
	{category: "ps_classic_provider_start", own: params, also: rendered},
	{category: "ps_classic_script", own: params, also: rendered},
	{product: "windows", service: "powershell-classic", own: params, also: rendered},
	{product: "windows", service: "application", own: params, also: rendered},
	{product: "windows", service: "msexchange-management", own: params, also: rendered},
	{category: "antivirus", own: defender1116, also: virus},
}

package taxonomy

// windowsShapes are what stands before a field of an event's own data.
var windowsShapes = []string{
	"winlog.event_data.", "winlog.user_data.", "event_data.", // Winlogbeat, Elastic Agent
	"Event.EventData.", "EventData.", // XML turned into JSON
}

// windowsUserData names the elements that hold the fields of services whose
// events have UserData in place of EventData.
var windowsUserData = map[string][]string{
	"security":                             {"LogFileCleared"},
	"system":                               {"LogFileCleared"},
	"printservice-admin":                   {"EventXML", "DocumentPrinted"},
	"printservice-operational":             {"EventXML", "DocumentPrinted"},
	"applocker":                            {"RuleAndFileData"},
	"smbclient-security":                   {"EventData"},
	"smbclient-connectivity":               {"EventData"},
	"smbserver-connectivity":               {"EventData"},
	"terminalservices-localsessionmanager": {"EventXML"},
	"wmi": {
		"Operation_New", "Operation_ClientFailure", "Operation_StartedOperational",
		"Operation_TemporaryEssStarted", "Operation_ESStoConsumerBinding",
	},
}

// windowsHeader are the names of what the event log itself says of an event.
var windowsHeader = map[string][]string{
	"Channel": {
		"winlog.channel", "log_name", "Event.System.Channel", "System.Channel",
		"data.win.system.channel", "win.system.channel", "metadata.log_name",
	},
	"EventID": {
		"winlog.event_id", "event.code", "event_id", "EventCode",
		"Event.System.EventID", "Event.System.EventID.#text", "System.EventID", "System.EventID.#text", "System.EventID.Value",
		"data.win.system.eventID", "win.system.eventID", "metadata.event_code",
	},
	"Provider_Name": {
		"winlog.provider_name", "event.provider", "source_name", "SourceName", "ProviderName",
		"Event.System.Provider.Name", "Event.System.Provider.@Name", "Event.System.Provider.#attributes.Name", "Event.System.Provider_attributes.Name",
		"System.Provider.Name", "System.Provider.@Name", "System.Provider.#attributes.Name", "System.Provider_attributes.Name",
		"data.win.system.providerName", "win.system.providerName", "metadata.log_provider",
	},
	"Computer": {
		"winlog.computer_name", "computer_name", "ComputerName", "Hostname", "host.name", "Event.System.Computer", "System.Computer",
		"data.win.system.computer", "win.system.computer", "device.hostname",
	},
	"Level": {"Event.System.Level", "System.Level", "data.win.system.level", "win.system.level"},
	"Task":  {"Event.System.Task", "System.Task", "data.win.system.task", "win.system.task"},
	"Keywords": {
		"Event.System.Keywords", "System.Keywords", "data.win.system.keywords", "win.system.keywords",
	},
	"Message": {"message", "data.win.system.message", "win.system.message"},
}

package taxonomy_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/corpustest"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

// recognised has, for every logsource of SigmaHQ, an event and what tells it.
// Sources of which nothing in an event tells are said by whoever collects them
// (logsource.*); the column why says why.
var recognised = []struct{ source, event, why string }{
	{"windows/-/-", `{"Channel":"Some/Other","Provider_Name":"Some","EventID":1}`, "channel, provider and number"},
	{"windows/-/security", `{"Channel":"Security","EventID":4624}`, ""},
	{"windows/-/system", `{"Event":{"System":{"Channel":"System","EventID":{"#text":7045},"Provider":{"#attributes":{"Name":"Service Control Manager"}}}}}`, ""},
	{"windows/-/application", `{"winlog":{"channel":"Application","event_id":"1000"}}`, ""},
	{"windows/-/applocker", `{"Channel":"Microsoft-Windows-AppLocker/EXE and DLL"}`, ""},
	{"windows/-/appmodel-runtime", `{"Channel":"Microsoft-Windows-AppModel-Runtime/Admin"}`, ""},
	{"windows/-/appxdeployment-server", `{"Channel":"Microsoft-Windows-AppXDeploymentServer/Operational"}`, ""},
	{"windows/-/appxpackaging-om", `{"Channel":"Microsoft-Windows-AppxPackaging/Operational"}`, ""},
	{"windows/-/bits-client", `{"Channel":"Microsoft-Windows-Bits-Client/Operational"}`, ""},
	{"windows/-/capi2", `{"Channel":"Microsoft-Windows-CAPI2/Operational"}`, ""},
	{"windows/-/certificateservicesclient-lifecycle-system", `{"Channel":"Microsoft-Windows-CertificateServicesClient-Lifecycle-System/Operational"}`, ""},
	{"windows/-/codeintegrity-operational", `{"Channel":"Microsoft-Windows-CodeIntegrity/Operational"}`, ""},
	{"windows/-/diagnosis-scripted", `{"Channel":"Microsoft-Windows-Diagnosis-Scripted/Operational"}`, ""},
	{"windows/-/dns-client", `{"Channel":"Microsoft-Windows-DNS Client Events/Operational"}`, ""},
	{"windows/-/dns-server", `{"Channel":"DNS Server"}`, ""},
	{"windows/-/dns-server-analytic", `{"Channel":"Microsoft-Windows-DNSServer/Analytical"}`, ""},
	{"windows/-/driver-framework", `{"Channel":"Microsoft-Windows-DriverFrameworks-UserMode/Operational"}`, ""},
	{"windows/-/firewall-as", `{"Channel":"Microsoft-Windows-Windows Firewall With Advanced Security/Firewall"}`, ""},
	{"windows/-/iis-configuration", `{"Channel":"Microsoft-IIS-Configuration/Operational"}`, ""},
	{"windows/-/ldap", `{"Channel":"Microsoft-Windows-LDAP-Client/Debug"}`, ""},
	{"windows/-/lsa-server", `{"Channel":"Microsoft-Windows-LSA/Operational"}`, ""},
	{"windows/-/microsoft-servicebus-client", `{"Channel":"Microsoft-ServiceBus-Client/Operational"}`, ""},
	{"windows/-/msexchange-management", `{"Channel":"MSExchange Management"}`, ""},
	{"windows/-/ntlm", `{"Channel":"Microsoft-Windows-NTLM/Operational"}`, ""},
	{"windows/-/openssh", `{"Channel":"OpenSSH/Operational"}`, ""},
	{"windows/-/powershell-classic", `{"Channel":"Windows PowerShell"}`, ""},
	{"windows/-/printservice-admin", `{"Channel":"Microsoft-Windows-PrintService/Admin"}`, ""},
	{"windows/-/printservice-operational", `{"Channel":"Microsoft-Windows-PrintService/Operational"}`, ""},
	{"windows/-/security-mitigations", `{"Channel":"Microsoft-Windows-Security-Mitigations/KernelMode"}`, ""},
	{"windows/-/shell-core", `{"Channel":"Microsoft-Windows-Shell-Core/Operational"}`, ""},
	{"windows/-/smbclient-connectivity", `{"Channel":"Microsoft-Windows-SmbClient/Connectivity"}`, ""},
	{"windows/-/smbclient-security", `{"Channel":"Microsoft-Windows-SmbClient/Security"}`, ""},
	{"windows/-/smbserver-connectivity", `{"Channel":"Microsoft-Windows-SMBServer/Connectivity"}`, ""},
	{"windows/-/sysmon", `{"Event":{"System":{"Channel":"Microsoft-Windows-Sysmon/Operational"}}}`, ""},
	{"windows/-/taskscheduler", `{"Channel":"Microsoft-Windows-TaskScheduler/Operational"}`, ""},
	{"windows/-/terminalservices-localsessionmanager", `{"Channel":"Microsoft-Windows-TerminalServices-LocalSessionManager/Operational"}`, ""},
	{"windows/-/windefend", `{"Channel":"Microsoft-Windows-Windows Defender/Operational"}`, ""},
	{"windows/-/wmi", `{"Channel":"Microsoft-Windows-WMI-Activity/Operational"}`, ""},
	{"windows/create_remote_thread/-", sysmon("8"), ""},
	{"windows/create_stream_hash/-", sysmon("15"), ""},
	{"windows/dns_query/-", sysmon("22"), ""},
	{"windows/driver_load/-", sysmon("6"), ""},
	{"windows/file_access/-", `{"Provider_Name":"Microsoft-Windows-Kernel-File","EventID":12}`, "a trace provider: there is no channel"},
	{"windows/file_rename/-", `{"Provider_Name":"Microsoft-Windows-Kernel-File","EventID":27}`, "a trace provider: there is no channel"},
	{"windows/file_change/-", sysmon("2"), ""},
	{"windows/file_delete/-", sysmon("26"), ""},
	{"windows/file_event/-", sysmon("11"), ""},
	{"windows/file_executable_detected/-", sysmon("29"), ""},
	{"windows/image_load/-", sysmon("7"), ""},
	{"windows/network_connection/-", `{"Channel":"Security","EventID":5156}`, "Sysmon 3 or Security 5156"},
	{"windows/pipe_created/-", sysmon("18"), ""},
	{"windows/process_access/-", sysmon("10"), ""},
	{"windows/process_creation/-", `{"Channel":"Security","EventID":"4688"}`, "Sysmon 1 or Security 4688"},
	{"windows/process_tampering/-", sysmon("25"), ""},
	{"windows/ps_classic_provider_start/-", `{"Channel":"Windows PowerShell","EventID":600}`, ""},
	{"windows/ps_classic_start/-", `{"Channel":"Windows PowerShell","EventID":400}`, ""},
	{"windows/ps_module/-", `{"Channel":"PowerShellCore/Operational","EventID":4103}`, ""},
	{"windows/ps_script/-", `{"Channel":"Microsoft-Windows-PowerShell/Operational","EventID":4104}`, ""},
	{"windows/raw_access_thread/-", sysmon("9"), ""},
	{"windows/registry_add/-", sysmon("12"), "12 is added or deleted: the rule asks EventType"},
	{"windows/registry_delete/-", sysmon("12"), "12 is added or deleted: the rule asks EventType"},
	{"windows/registry_event/-", sysmon("14"), ""},
	{"windows/registry_set/-", `{"Channel":"Security","EventID":4657}`, "Sysmon 13 or Security 4657"},
	{"windows/sysmon_error/-", sysmon("255"), ""},
	{"windows/sysmon_status/-", sysmon("16"), ""},
	{"windows/wmi_event/-", sysmon("20"), ""},

	{"linux/-/-", `{"program":"systemd","message":"x"}`, "anything that a program of a Linux machine logs"},
	{"linux/-/auditd", `{"type":"SYSCALL","msg":"audit(1.2:3)","syscall":"59"}`, "type and a field that auditd alone writes"},
	{"linux/-/auth", `{"SYSLOG_IDENTIFIER":"pkexec","MESSAGE":"x"}`, "the program"},
	{"linux/-/clamav", `{"program":"clamd"}`, "the program"},
	{"linux/-/cron", `{"program":"CRON"}`, "the program"},
	{"linux/-/guacamole", `{"program":"guacd"}`, "the program"},
	{"linux/-/sshd", `{"_COMM":"sshd-session","_SYSTEMD_UNIT":"ssh.service"}`, "the program or its unit"},
	{"linux/-/sudo", `{"program":"sudo"}`, "the program"},
	{"linux/-/syslog", `{"__REALTIME_TIMESTAMP":"1","MESSAGE":"x"}`, "an event of the journal"},
	{"linux/-/vsftpd", `{"_SYSTEMD_UNIT":"vsftpd.service"}`, "the unit"},
	{"linux/file_event/-", `{"event":{"category":["file"],"type":["creation"]},"host":{"os":{"type":"linux"}}}`, ""},
	{"linux/network_connection/-", `{"Channel":"Linux-Sysmon/Operational","EventID":3}`, ""},
	{"linux/process_creation/-", `{"type":"EXECVE","argc":"2","a0":"ls","a1":"-l"}`, "auditd, Sysmon for Linux, ECS or OCSF"},
	{"macos/file_event/-", `{"class_uid":1001,"activity_id":1,"device":{"os":{"type":"macOS"}}}`, ""},
	{"macos/process_creation/-", `{"event_type":9,"event":{"exec":{"target":{"executable":{"path":"/bin/ls"}}}}}`, "eslogger, ECS or OCSF"},

	{"aws/-/cloudtrail", `{"eventVersion":"1.08","eventSource":"iam.amazonaws.com","eventName":"CreateUser"}`, ""},
	{"azure/-/activitylogs", `{"operationName":"X/write","category":"Administrative","resourceId":"/subscriptions/1"}`, ""},
	{"azure/-/auditlogs", `{"operationName":"Add user","category":"AuditLogs","properties":{}}`, ""},
	{"azure/-/pim", `{"riskEventType":"staleSignInAlertIncident"}`, "the names of its alerts"},
	{"azure/-/riskdetection", `{"riskEventType":"unfamiliarFeatures"}`, ""},
	{"azure/-/signinlogs", `{"category":"SignInLogs","resultType":"50053"}`, ""},
	{"bitbucket/-/audit", `{"auditType":{"category":"Permissions","action":"x"}}`, ""},
	{"cisco/-/duo", `{"event_type":"authentication","factor":"push","txid":"1","reason":"x"}`, ""},
	{"gcp/-/gcp.audit", `{"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog"}}`, ""},
	{"gcp/-/google_workspace.admin", `{"protoPayload":{"serviceName":"admin.googleapis.com"}}`, ""},
	{"gcp/-/google_workspace.login", `{"id":{"applicationName":"login"}}`, ""},
	{"github/-/audit", `{"action":"repo.destroy","actor":"anna","_document_id":"1"}`, ""},
	{"kubernetes/-/audit", `{"kind":"Event","auditID":"1","verb":"create","stage":"ResponseComplete"}`, ""},
	{"kubernetes/application/audit", `{"kind":"Event","auditID":"1","verb":"create","stage":"ResponseComplete"}`, ""},
	{"m365/-/audit", `{"Operation":"New-InboxRule","Workload":"Exchange","RecordType":1}`, ""},
	{"m365/-/exchange", `{"Operation":"New-InboxRule","Workload":"Exchange","RecordType":1}`, ""},
	{"m365/-/threat_detection", `{"eventSource":"SecurityComplianceCenter","eventName":"x"}`, ""},
	{"m365/-/threat_management", `{"Operation":"AlertTriggered","Workload":"SecurityComplianceCenter"}`, ""},
	{"okta/-/okta", `{"eventType":"user.session.start","legacyEventType":"x","published":"2026"}`, ""},
	{"onelogin/-/onelogin.events", `{"event_type_id":90,"account_id":1}`, ""},

	{"zeek/-/dce_rpc", `{"_path":"dce_rpc","uid":"C1","operation":"x"}`, ""},
	{"zeek/-/dns", `{"uid":"C1","id.orig_h":"1.2.3.4","qtype_name":"A","query":"x"}`, "the path, or fields of that log alone"},
	{"zeek/-/http", `{"event":{"dataset":"zeek.http"}}`, ""},
	{"zeek/-/kerberos", `{"_path":"kerberos","ts":1}`, ""},
	{"zeek/-/rdp", `{"_path":"rdp","ts":1}`, ""},
	{"zeek/-/smb_files", `{"_path":"smb_files","ts":1,"path":"\\\\x\\c$"}`, ""},
	{"zeek/-/x509", `{"_path":"x509","ts":1}`, ""},
	{"-/dns/-", `{"query":"x","record_type":"TXT"}`, ""},
	{"-/firewall/-", `{"src_ip":"1.1.1.1","dst_ip":"2.2.2.2","dst_port":53,"action":"blocked"}`, ""},
	{"-/proxy/-", `{"c-uri":"http://x/","cs-method":"GET"}`, ""},
	{"-/webserver/-", `{"cs-uri-stem":"/x","sc-status":200}`, ""},
	{"-/antivirus/-", `{"Channel":"Microsoft-Windows-Windows Defender/Operational","EventID":1116}`, "Defender's detections, or Signature and Filename"},
	{"fortigate/-/event", `{"type":"event","devid":"FG1","logid":"0100044547"}`, ""},
	{"opencanary/application/-", `{"logtype":3000,"node_id":"c1"}`, ""},
	{"rpc_firewall/application/-", `{"EventLog":"RPCFW","EventID":3}`, ""},
	{"juniper/-/bgp", `{"program":"rpd","message":"x"}`, "Juniper's routing daemon"},
	{"cisco/-/aaa", `{"program":"tac_plus","message":"x"}`, "the accounting server, or IOS as a data set"},
	{"paloalto/appliance/globalprotect", `{"program":"gpsvc","message":"x"}`, "the program"},
	{"fortios/-/sslvpnd", `{"program":"sslvpnd","message":"x"}`, "the program"},
	{"-/-/apache", `{"program":"apache2","message":"x"}`, "the program, or a data set"},
	{"-/-/nginx", `{"event":{"dataset":"nginx.error"}}`, "the program, or a data set"},
	{"-/database/-", `{"program":"postgres","message":"x"}`, "the program, or a data set"},
	{"python/application/-", `{"service":{"language":{"name":"Python"}},"message":"x"}`, "the language, where the agent says it"},
	{"jvm/application/-", `{"service":{"language":{"name":"Java"}},"message":"x"}`, "the language, where the agent says it"},
	{"nodejs/application/-", `{"service":{"language":{"name":"javascript"}},"message":"x"}`, "the language, where the agent says it"},
	{"django/application/-", `{"service":{"framework":{"name":"django"}},"message":"x"}`, "the framework, where the agent says it"},
	{"spring/application/-", `{"service":{"framework":{"name":"Spring Web MVC"}},"message":"x"}`, "the framework, where the agent says it"},
	{"ruby_on_rails/application/-", `{"service":{"framework":{"name":"Ruby on Rails"}},"message":"x"}`, "the framework, where the agent says it"},
	{"cisco/-/bgp", declares("cisco", "", "bgp"), "free text of a router: the collector says so, or the data set cisco.ios"},
	{"cisco/-/ldp", declares("cisco", "", "ldp"), "free text of a router: the collector says so, or the data set cisco.ios"},
	{"cisco/-/syslog", declares("cisco", "", "syslog"), "free text of a router: the collector says so, or the data set cisco.ios"},
	{"huawei/-/bgp", declares("huawei", "", "bgp"), "free text of a router without a program's name: the collector says so"},
	{"paloalto/file_event/globalprotect", declares("paloalto", "file_event", "globalprotect"), "no known agent runs on the appliance: the collector says so"},
	{"sql/application/-", declares("sql", "application", ""), "free text of any application: the collector says so"},
	{"velocity/application/-", declares("velocity", "application", ""), "free text of any application: the collector says so"},
}

func sysmon(id string) string {
	return `{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":` + id + `}`
}

func declares(product, category, service string) string {
	b, _ := json.Marshal(map[string]any{"message": "x", "logsource": map[string]string{"product": product, "category": category, "service": service}})
	return string(b)
}

// corpus parses the rules of SigmaHQ that load.
func corpus(t *testing.T) (rules []*sigma.Rule) {
	t.Helper()
	for _, f := range corpustest.Rules(t) {
		if got, err := sigma.Parse(f.Name, f.Text); err == nil {
			rules = append(rules, got...)
		}
	}
	return rules
}

func TestEveryLogsourceOfSigmaHQIsRecognised(t *testing.T) {
	v, known := router(t), make(map[string]bool)
	for _, c := range recognised {
		known[c.source] = true
		got := sources(t, v, []byte(c.event))
		if !slices.ContainsFunc(got, func(l sigma.Logsource) bool { return logsource(c.source).Covers(l) }) {
			t.Errorf("%s: %s is of %v", c.source, c.event, got)
		}
		for _, l := range got {
			if product, _, _ := strings.Cut(c.source, "/"); product != "-" && l.Product != "" && l.Product != product && !(product == "juniper" || product == "cisco" || product == "paloalto" || product == "fortios") {
				t.Errorf("%s: %s is also of %v", c.source, c.event, l)
			}
		}
	}
	for _, r := range corpus(t) {
		if r.Correlation == nil && !known[r.Logsource.String()] {
			known[r.Logsource.String()] = true
			t.Errorf("%s (%s): the table does not say how an event of it is recognised", r.Logsource, r.File)
		}
	}
	t.Logf("%d logsources", len(known))
}

func logsource(s string) sigma.Logsource {
	part := strings.Split(strings.ReplaceAll(s, "-/", "/"), "/")
	if strings.HasSuffix(s, "/-") {
		part[2] = ""
	}
	return sigma.Logsource{Product: part[0], Category: part[1], Service: part[2]}
}

// TestNoFalseRoutes has events that look like another's and aren't.
func TestNoFalseRoutes(t *testing.T) {
	v := router(t)
	for _, event := range []string{
		`{"EventID":1}`, `{"EventID":4688,"Image":"x"}`, `{"winlog":{"event_id":4688}}`, `{"event":{"code":"1"}}`,
		`{"type":"path","name":"x"}`, `{"type":"LOGIN"}`, `{"path":"dns"}`, `{"_path":"dns"}`, `{"action":"x","actor":"y"}`,
		`{"query":"select"}`, `{"Operation":"x"}`, `{"category":"Administrative"}`, `{"class_uid":1007,"activity_id":1}`,
		`{"event":{"category":"process","type":"start"}}`, `{"operationName":"x"}`, `{"Channel":{"x":"Security"}}`, `{}`,
		`{"process":{"name":"sudo"}}`, `{"eventSource":"x","eventName":"y"}`, `{"Signature":"Microsoft","Image":"x"}`,
	} {
		if got := sources(t, v, []byte(event)); len(got) > 0 {
			t.Errorf("%s is of %v", event, got)
		}
	}
}

// TestClaimingMoreNeverHides: an event that also says it is another's keeps the
// logsources that it had.
func TestClaimingMoreNeverHides(t *testing.T) {
	v := router(t)
	lies := `"logsource":{"product":"sql","category":"application"},"program":"nginx","Channel":"Application","EventID":"999","type":"x","event":{"dataset":"okta.system","category":"none","type":"none"},"host":{"os":{"type":"none"}},"class_uid":1,"_path":"x","category":"x"`
	for _, c := range recognised {
		event := c.event[:len(c.event)-1] + "," + lies + "}"
		if got := sources(t, v, []byte(event)); !slices.ContainsFunc(got, logsource(c.source).Covers) {
			t.Errorf("%s hides with the lies: %v", c.source, got)
		}
	}
}

func TestRoutesNameTheirSources(t *testing.T) {
	for _, r := range taxonomy.Routes() {
		if len(r.When) == 0 || len(r.Sources) == 0 || slices.Contains(r.Sources, sigma.Logsource{}) {
			t.Errorf("%+v", r)
		}
		for _, m := range r.When {
			if m.Field == "EventID" && r.When[0].Field != "Channel" && r.When[0].Field != "Provider_Name" {
				t.Errorf("a number without a channel: %+v", r)
			}
		}
	}
}

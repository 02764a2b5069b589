package taxonomy_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/corpustest"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

// TestSchemas has one rule for each kind of event, and the event as different
// senders write it: routed by what it says itself, found by names.
func TestSchemas(t *testing.T) {
	for _, c := range []struct {
		logsource, detection string
		events               []string
	}{
		{
			"{product: windows, category: process_creation}", `{Image|endswith: \cmd.exe, CommandLine|contains: whoami, ParentImage|endswith: \w3wp.exe, User|contains: iis}`,
			[]string{
				`{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"Image":"C:\\cmd.exe","CommandLine":"cmd /c whoami","ParentImage":"C:\\w3wp.exe","User":"IIS\\iis"}`,
				`{"Channel":"Security","EventID":4688,"NewProcessName":"C:\\cmd.exe","CommandLine":"cmd /c whoami","ParentProcessName":"C:\\w3wp.exe","SubjectUserName":"iis"}`,
				`{"Event":{"System":{"Channel":"Security","EventID":4688},"EventData":{"NewProcessName":"C:\\cmd.exe","CommandLine":"cmd /c whoami","ParentProcessName":"C:\\w3wp.exe","SubjectUserName":"iis"}}}`,
				`{"event":{"category":["process"],"type":["start"]},"host":{"os":{"type":"windows"}},"process":{"executable":"C:\\cmd.exe","command_line":"cmd /c whoami","parent":{"executable":"C:\\w3wp.exe"}},"user":{"name":"iis"}}`,
				`{"class_uid":1007,"activity_id":1,"device":{"os":{"type":"Windows"}},"process":{"file":{"path":"C:\\cmd.exe"},"cmd_line":"cmd /c whoami","user":{"name":"iis"}},"actor":{"process":{"file":{"path":"C:\\w3wp.exe"}}}}`,
			},
		},
		{
			"{product: linux, category: process_creation}", `{Image|endswith: /nc}`,
			[]string{
				`{"Event":{"System":{"Channel":"Linux-Sysmon/Operational","EventID":1},"EventData":{"Image":"/bin/nc"}}}`,
				`{"type":"SYSCALL","arch":"c000003e","syscall":"59","success":"yes","exe":"/bin/nc"}`,
				`{"event":{"category":["process"],"type":["start"]},"host":{"os":{"type":"linux"}},"process":{"executable":"/bin/nc"}}`,
			},
		},
		{
			"{product: linux, category: process_creation}", `{CommandLine|contains: 'nc -l'}`,
			[]string{`{"type":"PROCTITLE","proctitle":"nc -l 1"}`},
		},
		{
			"{product: linux, service: auditd}", `{type: SYSCALL, comm: insmod, key: modules}`,
			[]string{
				`{"type":"SYSCALL","msg":"audit(1.1:1)","comm":"insmod","key":"modules"}`,
				`{"_TRANSPORT":"audit","_AUDIT_TYPE_NAME":"SYSCALL","_COMM":"insmod","_AUDIT_FIELD_KEY":"modules"}`,
				`{"event":{"module":"auditd"},"auditd":{"message_type":"syscall"},"process":{"name":"insmod"},"tags":["modules"]}`,
				`{"event":{"dataset":"auditd.log"},"auditd":{"log":{"record_type":"SYSCALL","comm":"insmod","key":"modules"}}}`,
			},
		},
		{
			"{product: windows, category: network_connection}", `{DestinationIp: 192.0.2.1, DestinationPort: 443, Image|endswith: a.exe}`,
			[]string{
				`{"Channel":"Security","EventID":5156,"Application":"\\device\\a.exe","DestAddress":"192.0.2.1","DestPort":"443"}`,
				`{"winlog":{"channel":"Microsoft-Windows-Sysmon/Operational","event_id":"3","event_data":{"Image":"C:\\a.exe","DestinationIp":"192.0.2.1","DestinationPort":"443"}}}`,
				`{"class_uid":4001,"activity_id":1,"device":{"os":{"type":"Windows"}},"actor":{"process":{"file":{"path":"a.exe"}}},"dst_endpoint":{"ip":"192.0.2.1","port":443}}`,
				`{"event":{"category":["network"],"type":["start"]},"host":{"os":{"family":"windows"}},"process":{"executable":"a.exe"},"destination":{"ip":"192.0.2.1","port":443}}`,
			},
		},
		{
			"{product: windows, category: registry_set}", `{TargetObject|contains: \Run, Details|contains: a.exe}`,
			[]string{
				`{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":13,"TargetObject":"HKLM\\Run\\x","Details":"a.exe"}`,
				`{"Channel":"Security","EventID":4657,"ObjectName":"\\REGISTRY\\MACHINE\\Run","NewValue":"a.exe"}`,
				`{"event":{"category":["registry"],"type":["change"]},"host":{"os":{"type":"windows"}},"registry":{"path":"HKLM\\Run\\x","data":{"strings":["a.exe"]}}}`,
				`{"class_uid":201002,"activity_id":2,"device":{"os":{"type":"Windows"}},"reg_value":{"path":"HKLM\\Run\\x","data":"a.exe"}}`,
			},
		},
		{
			"{product: windows, category: file_event}", `{TargetFilename|endswith: .lnk, Image|endswith: a.exe}`,
			[]string{
				`{"event":{"category":["file"],"type":["creation"]},"host":{"os":{"type":"windows"}},"process":{"executable":"a.exe"},"file":{"path":"x.lnk"}}`,
				`{"class_uid":1001,"activity_id":1,"device":{"os":{"type":"Windows"}},"actor":{"process":{"file":{"path":"a.exe"}}},"file":{"path":"x.lnk"}}`,
			},
		},
		{
			"{product: windows, category: dns_query}", `{QueryName|endswith: .onion}`,
			[]string{
				`{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":22,"QueryName":"x.onion"}`,
				`{"event":{"category":["network"]},"host":{"os":{"type":"windows"}},"dns":{"question":{"name":"x.onion"}}}`,
				`{"class_uid":4003,"activity_id":1,"device":{"os":{"type":"Windows"}},"query":{"hostname":"x.onion"}}`,
			},
		},
		{
			"{category: antivirus}", `{Signature|contains: Mimikatz}`,
			[]string{
				`{"Channel":"Microsoft-Windows-Windows Defender/Operational","EventID":1116,"Threat Name":"HackTool:Win32/Mimikatz"}`,
				`{"Event":{"System":{"Channel":"Microsoft-Windows-Windows Defender/Operational","EventID":{"#text":1116}},"EventData":{"Threat Name":"HackTool:Win32/Mimikatz"}}}`,
				`{"Signature":"Mimikatz","Filename":"a"}`,
			},
		},
		{
			"{category: webserver}", `{cs-method: GET, cs-uri-query|contains: /etc/passwd, sc-status: 200}`,
			[]string{
				`{"cs-method":"GET","cs-uri-stem":"/","cs-uri-query":"f=/etc/passwd","sc-status":200}`,
				`{"event":{"dataset":"nginx.access"},"http":{"request":{"method":"GET"},"response":{"status_code":200}},"url":{"original":"/?f=/etc/passwd"}}`,
				`{"_path":"http","ts":1,"uid":"C","method":"GET","uri":"/?f=/etc/passwd","status_code":200}`,
				`{"event_type":"http","flow_id":1,"http":{"http_method":"GET","url":"/?f=/etc/passwd","status":200}}`,
			},
		},
		{
			"{category: dns}", `{query|endswith: .onion}`,
			[]string{
				`{"_path":"dns","ts":1,"uid":"C","query":"x.onion"}`, `{"event_type":"dns","flow_id":1,"dns":{"rrname":"x.onion"}}`,
				`{"class_uid":4003,"query":{"hostname":"x.onion"}}`,
			},
		},
		{
			"{product: aws, service: cloudtrail}", `{eventSource: iam.amazonaws.com, eventName: CreateUser}`,
			[]string{
				`{"eventVersion":"1","eventSource":"iam.amazonaws.com","eventName":"CreateUser"}`,
				`{"detail":{"eventVersion":"1","eventSource":"iam.amazonaws.com","eventName":"CreateUser"}}`,
				`{"event":{"dataset":"aws.cloudtrail","provider":"iam.amazonaws.com","action":"CreateUser"}}`,
				`{"class_uid":6003,"metadata":{"product":{"name":"CloudTrail"}},"api":{"operation":"CreateUser","service":{"name":"iam.amazonaws.com"}}}`,
			},
		},
		{
			"{product: okta, service: okta}", `{eventType: policy.lifecycle.delete, debugContext.debugData.requestUri|contains: x}`,
			[]string{
				`{"eventType":"policy.lifecycle.delete","legacyEventType":"y","published":"1","debugContext":{"debugData":{"requestUri":"/x"}}}`,
				`{"event":{"dataset":"okta.system","action":"policy.lifecycle.delete"},"okta":{"debug_context":{"debug_data":{"request_uri":"/x"}}}}`,
			},
		},
		{
			"{product: azure, service: auditlogs}", `{properties.message: Add user, Status: Success}`,
			[]string{
				`{"category":"AuditLogs","operationName":"Add user","properties":{"result":"success"}}`,
				`{"activityDisplayName":"Add user","loggedByService":"Core Directory","result":"success"}`,
			},
		},
		{
			"{product: windows, category: ps_classic_start}", `{Data|contains: EngineVersion=2.}`,
			[]string{
				`{"Channel":"Windows PowerShell","EventID":400,"Message":"... EngineVersion=2.0 ..."}`,
				`{"Event":{"System":{"Channel":"Windows PowerShell","EventID":{"#text":400}},"EventData":{"Data":["Available","None","EngineVersion=2.0"]}}}`,
				`{"winlog":{"channel":"Windows PowerShell","event_id":400,"event_data":{"param3":"EngineVersion=2.0"}}}`,
			},
		},
		{
			"{product: macos, category: process_creation}", `{Image|endswith: /osascript}`,
			[]string{
				`{"event_type":9,"event":{"exec":{"target":{"executable":{"path":"/usr/bin/osascript"}}}}}`,
				`{"event":{"category":["process"],"type":["start"]},"host":{"os":{"type":"macos"}},"process":{"executable":"/usr/bin/osascript"}}`,
			},
		},
	} {
		rules, err := sigma.Parse("t.yml", fmt.Appendf(nil, "title: t\nid: 7c3b0b06-6d0d-4a7e-9a59-0b2f0f3b5a47\nauthor: a\nlogsource: %s\ndetection: {s: %s, condition: s}\n", c.logsource, c.detection))
		if err != nil {
			t.Fatal(err)
		}
		e, err := sigma.Compile(rules, sigma.Options{Aliases: taxonomy.Aliases, Routes: taxonomy.Routes()})
		if err != nil {
			t.Fatal(err)
		}
		v := e.NewView()
		for _, event := range c.events {
			fired := false
			from := sources(t, v, []byte(event))
			e.Match(v, from, func(sigma.Match) { fired = true })
			if !fired {
				t.Errorf("%s %s: not for %s, which is of %v", c.logsource, c.detection, event, from)
			}
		}
	}
}

// TestNoFalseNames: a name means something else elsewhere, and is no alias there.
func TestNoFalseNames(t *testing.T) {
	for _, c := range []struct {
		src          sigma.Logsource
		field, never string
	}{
		{sigma.Logsource{Product: "windows", Service: "security"}, "TargetObject", "ObjectName"},
		{sigma.Logsource{Product: "windows", Category: "file_event"}, "TargetFilename", "ObjectName"},
		{sigma.Logsource{Product: "windows", Category: "file_event"}, "Image", "process.file.path"},
		{sigma.Logsource{Product: "windows", Category: "process_creation"}, "Image", "actor.process.file.path"},
		{sigma.Logsource{Product: "windows", Category: "process_creation"}, "ParentProcessId", "ProcessId"},
		{sigma.Logsource{Product: "windows", Service: "security"}, "TargetUserName", "user.name"},
		{sigma.Logsource{Product: "windows", Service: "system"}, "Data", "Message"},
		{sigma.Logsource{Product: "linux", Service: "sshd"}, "type", "_AUDIT_TYPE_NAME"},
		{sigma.Logsource{Product: "linux", Category: "process_creation"}, "Image", "NewProcessName"},
		{sigma.Logsource{Product: "zeek", Service: "smb_files"}, "path", "url.path"},
		{sigma.Logsource{Product: "interlock", Category: "tamper"}, "source", "source.ip"},
	} {
		if slices.Contains(taxonomy.Aliases(c.src, c.field), c.never) {
			t.Errorf("%s of %s is also %s", c.field, c.src, c.never)
		}
	}
	for _, l := range taxonomy.Known() {
		for _, f := range taxonomy.Fields(l) {
			if names := taxonomy.Aliases(l, f); slices.Contains(names, f) || slices.Contains(names, "") || len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
				t.Errorf("%s of %s: %q", f, l, names)
			}
		}
	}
}

// namesFloor is how many matches names add over ten thousand real events: events
// 4688 of the Security log, and a provider that a forwarder calls SourceName.
const namesFloor = 5

// TestNamesFindMoreAndLoseNothing: over real events, the engine with names fires
// wherever the bare one does, and where only names lead.
func TestNamesFindMoreAndLoseNothing(t *testing.T) {
	rules := corpus(t)
	views := make([]*sigma.View, 2)
	engines := make([]*sigma.Engine, 2)
	for i, names := range []func(sigma.Logsource, string) []string{nil, taxonomy.Aliases} {
		e, err := sigma.Compile(rules, sigma.Options{Aliases: names, Routes: taxonomy.Routes()})
		if err != nil {
			t.Fatal(err)
		}
		engines[i], views[i] = e, e.NewView()
	}
	more := 0
	for sc := corpustest.Events(t); sc.Scan(); {
		event := bytes.Clone(sc.Bytes())
		var fired [2][]string
		for i, v := range views {
			from := sources(t, v, event)
			engines[i].Match(v, from, func(m sigma.Match) { fired[i] = append(fired[i], m.Rule.ID) })
		}
		for _, id := range fired[0] {
			if !slices.Contains(fired[1], id) {
				t.Errorf("names lose %s on %.200s", id, event)
			}
		}
		more += len(fired[1]) - len(fired[0])
	}
	t.Logf("%d matches more", more)
	if more < namesFloor {
		t.Errorf("only %d matches more", more)
	}
}

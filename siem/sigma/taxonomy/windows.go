package taxonomy

// windowsChannels lists, for each service of product windows, the event
// channels whose events are that service's.
var windowsChannels = []struct {
	service  string
	channels []string
}{
	{"application", []string{"Application"}},
	{"application-experience", []string{
		"Microsoft-Windows-Application-Experience/Program-Telemetry",
		"Microsoft-Windows-Application-Experience/Program-Compatibility-Assistant",
	}},
	{"applocker", []string{
		"Microsoft-Windows-AppLocker/EXE and DLL", "Microsoft-Windows-AppLocker/MSI and Script",
		"Microsoft-Windows-AppLocker/Packaged app-Deployment", "Microsoft-Windows-AppLocker/Packaged app-Execution",
	}},
	{"appmodel-runtime", []string{"Microsoft-Windows-AppModel-Runtime/Admin"}},
	{"appxdeployment-server", []string{"Microsoft-Windows-AppXDeploymentServer/Operational"}},
	{"appxpackaging-om", []string{"Microsoft-Windows-AppxPackaging/Operational"}},
	{"bitlocker", []string{"Microsoft-Windows-BitLocker/BitLocker Management"}},
	{"bits-client", []string{"Microsoft-Windows-Bits-Client/Operational"}},
	{"capi2", []string{"Microsoft-Windows-CAPI2/Operational"}},
	{"certificateservicesclient-lifecycle-system", []string{"Microsoft-Windows-CertificateServicesClient-Lifecycle-System/Operational"}},
	{"codeintegrity-operational", []string{"Microsoft-Windows-CodeIntegrity/Operational"}},
	{"dhcp", []string{"Microsoft-Windows-DHCP-Server/Operational"}},
	{"diagnosis-scripted", []string{"Microsoft-Windows-Diagnosis-Scripted/Operational"}},
	{"dns-client", []string{"Microsoft-Windows-DNS Client Events/Operational", "Microsoft-Windows-DNS-Client/Operational"}},
	{"dns-server", []string{"DNS Server"}},
	{"dns-server-analytic", []string{"Microsoft-Windows-DNS-Server/Analytical", "Microsoft-Windows-DNSServer/Analytical"}},
	{"dns-server-audit", []string{"Microsoft-Windows-DNS-Server/Audit", "Microsoft-Windows-DNSServer/Audit"}},
	{"driver-framework", []string{"Microsoft-Windows-DriverFrameworks-UserMode/Operational"}},
	{"firewall-as", []string{"Microsoft-Windows-Windows Firewall With Advanced Security/Firewall"}},
	{"hyper-v-worker", []string{
		"Microsoft-Windows-Hyper-V-Worker", "Microsoft-Windows-Hyper-V-Worker-Admin", "Microsoft-Windows-Hyper-V-Worker-Operational",
	}},
	{"iis-configuration", []string{"Microsoft-IIS-Configuration/Operational"}},
	{"kernel-event-tracing", []string{"Microsoft-Windows-Kernel-EventTracing", "Microsoft-Windows-Kernel-EventTracing/Admin"}},
	{"kernel-shimengine", []string{"Microsoft-Windows-Kernel-ShimEngine/Operational", "Microsoft-Windows-Kernel-ShimEngine/Diagnostic"}},
	{"ldap", []string{"Microsoft-Windows-LDAP-Client/Debug"}},
	{"lsa-server", []string{"Microsoft-Windows-LSA/Operational"}},
	{"microsoft-servicebus-client", serviceBus},
	{"msexchange-management", []string{"MSExchange Management"}},
	{"ntfs", []string{"Microsoft-Windows-Ntfs/Operational"}},
	{"ntlm", []string{"Microsoft-Windows-NTLM/Operational"}},
	{"openssh", []string{"OpenSSH/Operational"}},
	{"powershell", powershell},
	{"powershell-classic", []string{powershellClassic}},
	{"printservice-admin", []string{"Microsoft-Windows-PrintService/Admin"}},
	{"printservice-operational", []string{"Microsoft-Windows-PrintService/Operational"}},
	{"security", []string{security}},
	{"security-mitigations", []string{
		"Microsoft-Windows-Security-Mitigations/Kernel Mode", "Microsoft-Windows-Security-Mitigations/KernelMode",
		"Microsoft-Windows-Security-Mitigations/User Mode", "Microsoft-Windows-Security-Mitigations/UserMode",
	}},
	{"sense", []string{"Microsoft-Windows-SENSE/Operational"}},
	{"servicebus-client", serviceBus},
	{"shell-core", []string{"Microsoft-Windows-Shell-Core/Operational"}},
	{"smbclient-connectivity", []string{"Microsoft-Windows-SmbClient/Connectivity"}},
	{"smbclient-security", []string{"Microsoft-Windows-SmbClient/Security"}},
	{"smbserver-connectivity", []string{"Microsoft-Windows-SMBServer/Connectivity"}},
	{"sysmon", []string{sysmon}},
	{"system", []string{"System"}},
	{"taskscheduler", []string{"Microsoft-Windows-TaskScheduler/Operational"}},
	{"terminalservices-localsessionmanager", []string{"Microsoft-Windows-TerminalServices-LocalSessionManager/Operational"}},
	{"vhdmp", []string{"Microsoft-Windows-VHDMP-Operational", "Microsoft-Windows-VHDMP/Operational"}},
	{"windefend", []string{defender}},
	{"wmi", []string{"Microsoft-Windows-WMI-Activity/Operational"}},
}

const (
	sysmon            = "Microsoft-Windows-Sysmon/Operational"
	linuxSysmon       = "Linux-Sysmon/Operational"
	security          = "Security"
	powershellClassic = "Windows PowerShell"
	defender          = "Microsoft-Windows-Windows Defender/Operational"
)

var (
	powershell = []string{"Microsoft-Windows-PowerShell/Operational", "PowerShellCore/Operational"}
	serviceBus = []string{"Microsoft-ServiceBus-Client", "Microsoft-ServiceBus-Client/Operational", "Microsoft-ServiceBus-Client/Admin"}
)

// windowsCategories lists which numbered events of a channel are of a category.
var windowsCategories = []struct {
	service    string
	channels   []string
	ids        []string
	categories []string
}{
	{"sysmon", []string{sysmon}, []string{"1"}, []string{"process_creation"}},
	{"sysmon", []string{sysmon}, []string{"2"}, []string{"file_change"}},
	{"sysmon", []string{sysmon}, []string{"3"}, []string{"network_connection"}},
	{"sysmon", []string{sysmon}, []string{"4", "16"}, []string{"sysmon_status"}},
	{"sysmon", []string{sysmon}, []string{"5"}, []string{"process_termination"}},
	{"sysmon", []string{sysmon}, []string{"6"}, []string{"driver_load"}},
	{"sysmon", []string{sysmon}, []string{"7"}, []string{"image_load"}},
	{"sysmon", []string{sysmon}, []string{"8"}, []string{"create_remote_thread"}},
	{"sysmon", []string{sysmon}, []string{"9"}, []string{"raw_access_thread"}},
	{"sysmon", []string{sysmon}, []string{"10"}, []string{"process_access"}},
	{"sysmon", []string{sysmon}, []string{"11"}, []string{"file_event"}},
	{"sysmon", []string{sysmon}, []string{"12", "13", "14"}, []string{"registry_event"}},
	// 12 is both; which of the two, the rule asks of EventType.
	{"sysmon", []string{sysmon}, []string{"12"}, []string{"registry_add", "registry_delete"}},
	{"sysmon", []string{sysmon}, []string{"13"}, []string{"registry_set"}},
	{"sysmon", []string{sysmon}, []string{"14"}, []string{"registry_rename"}},
	{"sysmon", []string{sysmon}, []string{"15"}, []string{"create_stream_hash"}},
	{"sysmon", []string{sysmon}, []string{"17", "18"}, []string{"pipe_created"}},
	{"sysmon", []string{sysmon}, []string{"19", "20", "21"}, []string{"wmi_event"}},
	{"sysmon", []string{sysmon}, []string{"22"}, []string{"dns_query"}},
	// 26 is a deletion of which no copy was kept.
	{"sysmon", []string{sysmon}, []string{"23", "26"}, []string{"file_delete"}},
	{"sysmon", []string{sysmon}, []string{"24"}, []string{"clipboard_capture"}},
	{"sysmon", []string{sysmon}, []string{"25"}, []string{"process_tampering"}},
	{"sysmon", []string{sysmon}, []string{"26"}, []string{"file_delete_detected"}},
	{"sysmon", []string{sysmon}, []string{"27"}, []string{"file_block_executable"}},
	{"sysmon", []string{sysmon}, []string{"28"}, []string{"file_block_shredding"}},
	{"sysmon", []string{sysmon}, []string{"29"}, []string{"file_executable_detected"}},
	{"sysmon", []string{sysmon}, []string{"255"}, []string{"sysmon_error"}},
	{"security", []string{security}, []string{"4688"}, []string{"process_creation"}},
	{"security", []string{security}, []string{"4689"}, []string{"process_termination"}},
	{"security", []string{security}, []string{"5156"}, []string{"network_connection"}},
	{"security", []string{security}, []string{"4657"}, []string{"registry_event", "registry_set"}},
	{"powershell", powershell, []string{"4103"}, []string{"ps_module"}},
	{"powershell", powershell, []string{"4104"}, []string{"ps_script"}},
	{"powershell-classic", []string{powershellClassic}, []string{"400"}, []string{"ps_classic_start"}},
	{"powershell-classic", []string{powershellClassic}, []string{"600"}, []string{"ps_classic_provider_start"}},
	{"powershell-classic", []string{powershellClassic}, []string{"800"}, []string{"ps_classic_script"}},
	{"windefend", []string{defender}, []string{"1006", "1007", "1116", "1117", "1118", "1119"}, []string{"antivirus"}},
}

// etwCategories are events of trace providers, which have no channel: the
// provider's name stands for it.
var etwCategories = []struct {
	provider   string
	ids        []string
	categories []string
}{
	{"Microsoft-Windows-Kernel-File", []string{"12", "30"}, []string{"file_access"}},
	{"Microsoft-Windows-Kernel-File", []string{"19", "27"}, []string{"file_rename"}},
}

// linuxSysmonCategories are the events that Sysmon for Linux has.
var linuxSysmonCategories = []struct {
	ids      []string
	category string
}{
	{[]string{"1"}, "process_creation"},
	{[]string{"3"}, "network_connection"},
	{[]string{"4", "16"}, "sysmon_status"},
	{[]string{"5"}, "process_termination"},
	{[]string{"9"}, "raw_access_thread"},
	{[]string{"11"}, "file_event"},
	{[]string{"23"}, "file_delete"},
	{[]string{"255"}, "sysmon_error"},
}

package taxonomy

import (
	"slices"

	"github.com/interlock-security/interlock/siem/sigma"
)

// program is who writes lines of its own, and what they are.
type program struct {
	names   []string
	units   []string
	sources []sigma.Logsource
}

var (
	auth     = source("linux", "", "auth")
	programs = []program{
		{[]string{"sshd", "sshd-session", "sshd-auth"}, []string{"ssh.service", "sshd.service"}, []sigma.Logsource{source("linux", "", "sshd"), auth}},
		{[]string{"sudo"}, nil, []sigma.Logsource{source("linux", "", "sudo"), auth}},
		{
			[]string{"su", "login", "systemd-logind", "pkexec", "polkitd", "gdm-password", "passwd", "useradd", "usermod", "groupadd", "userdel"},
			[]string{"systemd-logind.service", "polkit.service"},
			[]sigma.Logsource{auth},
		},
		{[]string{"cron", "crond", "anacron", "crontab"}, []string{"cron.service", "crond.service"}, []sigma.Logsource{source("linux", "", "cron")}},
		{[]string{"vsftpd"}, []string{"vsftpd.service"}, []sigma.Logsource{source("linux", "", "vsftpd")}},
		{[]string{"guacd", "guacamole"}, []string{"guacd.service"}, []sigma.Logsource{source("linux", "", "guacamole")}},
		{
			[]string{"clamd", "clamav", "clamav-daemon", "clamscan", "clamonacc", "clamdscan", "freshclam"},
			[]string{"clamav-daemon.service", "clamd.service"},
			[]sigma.Logsource{source("linux", "", "clamav")},
		},
		{[]string{"audit", "auditd", "audispd", "audisp-syslog", "kauditd"}, []string{"auditd.service"}, []sigma.Logsource{source("linux", "", "auditd")}},
		{[]string{"httpd", "apache", "apache2"}, []string{"apache2.service", "httpd.service"}, []sigma.Logsource{source("", "", "apache")}},
		{[]string{"nginx"}, []string{"nginx.service"}, []sigma.Logsource{source("", "", "nginx")}},
		{
			[]string{"mysqld", "mariadbd", "postgres", "postgresql"},
			[]string{"mysql.service", "mariadb.service", "postgresql.service"},
			[]sigma.Logsource{source("", "database", "")},
		},
		// What only routers and appliances run.
		{[]string{"rpd"}, nil, []sigma.Logsource{source("juniper", "", "bgp")}},
		{[]string{"tac_plus", "tac_plus-ng"}, nil, []sigma.Logsource{source("cisco", "", "aaa")}},
		{[]string{"gpsvc"}, nil, []sigma.Logsource{source("paloalto", "appliance", "globalprotect")}},
		{[]string{"sslvpnd"}, nil, []sigma.Logsource{source("fortios", "", "sslvpnd")}},
	}
)

// Program lists the logsources of the lines that a program of a Linux machine
// writes. Whoever asks has to know that the line is the program's.
func Program(name string) []sigma.Logsource {
	out := []sigma.Logsource{}
	for _, p := range programs {
		for _, n := range p.names {
			if fold(n) == fold(name) {
				out = append(out, p.sources...)
			}
		}
	}
	return append(out, source("linux", "", "syslog"))
}

func programRoutes() []sigma.Route {
	out := []sigma.Route{
		route("linux", "", "syslog", has("program")),
		route("linux", "", "syslog", has("_BOOT_ID")),
		route("linux", "", "syslog", is("event.dataset", "system.syslog", "system.auth")),
		{When: []sigma.Mark{is("event.dataset", "system.auth")}, Sources: []sigma.Logsource{auth}},
	}
	for _, p := range programs {
		out = append(out,
			sigma.Route{When: []sigma.Mark{is("program", p.names...)}, Sources: p.sources},
			// process.name is the writer's name in these data sets and any process's in others.
			sigma.Route{When: []sigma.Mark{is("process.name", p.names...), is("event.dataset", "system.syslog", "system.auth")}, Sources: p.sources})
		if p.units != nil {
			out = append(out, sigma.Route{When: []sigma.Mark{is("_SYSTEMD_UNIT", p.units...)}, Sources: p.sources})
		}
	}
	return out
}

// auditTypes are the types of records that auditd writes. Other logs have
// fields called type with such values, so it is never enough by itself.
var auditTypes = []string{
	"SYSCALL", "EXECVE", "PATH", "CWD", "PROCTITLE", "SOCKADDR", "MMAP", "OBJ_PID", "IPC", "FD_PAIR", "KERN_MODULE", "BPRM_FCAPS", "CAPSET",
	"USER_AUTH", "USER_ACCT", "USER_LOGIN", "USER_LOGOUT", "USER_START", "USER_END", "USER_CMD", "USER_ERR", "USER_CHAUTHTOK", "USER_MGMT",
	"USER_ROLE_CHANGE", "USER_TTY", "USER_AVC", "CRED_ACQ", "CRED_DISP", "CRED_REFR", "LOGIN", "ADD_USER", "DEL_USER", "ADD_GROUP", "DEL_GROUP",
	"GRP_MGMT", "GRP_CHAUTHTOK", "ACCT_LOCK", "ACCT_UNLOCK", "SERVICE_START", "SERVICE_STOP", "SYSTEM_BOOT", "SYSTEM_SHUTDOWN", "SYSTEM_RUNLEVEL",
	"DAEMON_START", "DAEMON_END", "DAEMON_ABORT", "DAEMON_CONFIG", "DAEMON_ROTATE", "CONFIG_CHANGE", "FEATURE_CHANGE", "AVC", "AVC_PATH", "SELINUX_ERR",
	"MAC_POLICY_LOAD", "MAC_STATUS", "MAC_CONFIG_CHANGE", "APPARMOR_DENIED", "APPARMOR_STATUS", "NETFILTER_CFG", "NETFILTER_PKT", "SECCOMP", "BPF", "TTY",
	"ANOM_ABEND", "ANOM_PROMISCUOUS", "ANOM_LOGIN_FAILURES", "ANOM_ROOT_TRANS", "ANOM_LINK", "ANOM_CREAT", "CRYPTO_KEY_USER", "CRYPTO_SESSION", "CRYPTO_LOGIN",
	"CRYPTO_LOGOUT", "TIME_ADJNTPVAL", "TIME_INJOFFSET", "INTEGRITY_DATA", "INTEGRITY_METADATA", "INTEGRITY_RULE", "INTEGRITY_PCR", "FANOTIFY", "LABEL_OVERRIDE",
	"SOFTWARE_UPDATE", "VIRT_CONTROL", "VIRT_CREATE", "VIRT_DESTROY", "VIRT_MACHINE_ID", "VIRT_RESOURCE", "DEV_ALLOC", "FS_RELABEL", "RESP_ANOMALY", "EOE",
}

// auditRoutes want beside the type a field that records of auditd alone have.
func auditRoutes() []sigma.Route {
	out := []sigma.Route{
		route("linux", "", "auditd", is("_TRANSPORT", "audit")),
		route("linux", "", "auditd", is("event.module", "auditd", "audit")),
		route("linux", "", "auditd", is("event.dataset", "auditd.log", "auditd_manager.auditd", "auditd")),
	}
	for _, proof := range []string{"msg", "auid", "ses", "syscall", "argc", "nametype", "proctitle", "saddr", "_AUDIT_ID", "auditd.log.sequence"} {
		out = append(out, route("linux", "", "auditd", is("type", auditTypes...), has(proof)))
	}
	started := func(when ...sigma.Mark) { out = append(out, route("linux", "process_creation", "auditd", when...)) }
	started(is("type", "EXECVE"), has("argc"))
	started(is("type", "PROCTITLE"), has("proctitle"))
	for _, execve := range executions {
		started(is("type", "SYSCALL"), is("arch", execve.arch...), is("syscall", execve.calls...), is("success", "yes"))
	}
	started(is("type", "SYSCALL"), is("SYSCALL", "execve", "execveat"), is("success", "yes"))
	return out
}

// executions are the numbers of execve and execveat, which differ by machine.
var executions = []struct{ arch, calls []string }{
	{[]string{"c000003e", "x86_64"}, []string{"59", "322", "execve", "execveat"}},
	{[]string{"40000003", "i386"}, []string{"11", "358", "execve", "execveat"}},
	{[]string{"c00000b7", "aarch64", "c00000f3", "riscv64"}, []string{"221", "281", "execve", "execveat"}},
	{[]string{"40000028", "arm", "armeb"}, []string{"11", "387", "execve", "execveat"}},
}

// Executes reports whether a system call, by its number or name and the machine
// that auditd gives, starts a program.
func Executes(arch, call string) bool {
	for _, e := range executions {
		if slices.Contains(e.arch, arch) {
			return slices.Contains(e.calls, call)
		}
	}
	return call == "execve" || call == "execveat"
}

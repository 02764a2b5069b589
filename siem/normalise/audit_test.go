package normalise_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/sigma"
)

// TestAuditRecords: lines as auditd writes them, and the fields that they have.
func TestAuditRecords(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{
			`type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e syscall=2 success=no exit=-13 a0=4142 a1=0 a2=1b6 a3=0 items=1 ppid=2686 pid=3538 auid=1000 uid=1000 comm="cat" exe="/bin/cat" key="sshd_config"`,
			`type=SYSCALL|serial=24287|arch=c000003e|syscall=2|success=no|exit=-13|a0=4142|a1=0|a2=1b6|a3=0|items=1|ppid=2686|pid=3538|auid=1000|uid=1000|comm=cat|exe=/bin/cat|key=sshd_config`,
		},
		{
			`type=EXECVE msg=audit(1364481363.243:24288): argc=3 a0="sh" a1="-c" a2=6C73202D6C207C206E63`,
			`type=EXECVE|serial=24288|argc=3|a0=sh|a1=-c|a2=ls -l | nc|CommandLine=sh -c ls -l | nc`,
		},
		{
			`type=EXECVE msg=audit(1.002:1): argc=2 a0="x" a1_len=9 a1[0]="abc" a1[1]="def"`,
			`type=EXECVE|serial=1|argc=2|a0=x|a1_len=9|a1[0]=abc|a1[1]=def|CommandLine=x abcdef`,
		},
		{
			`type=PROCTITLE msg=audit(1.002:1): proctitle=63617400`, `type=PROCTITLE|serial=1|proctitle=cat`,
		},
		{
			`type=PROCTITLE msg=audit(1.002:1): proctitle=726D002D7266002F`, `type=PROCTITLE|serial=1|proctitle=rm -rf /`,
		},
		{
			`type=PATH msg=audit(1.002:1): item=0 name=2F746D702F6120622026206E616D653D78 inode=409248 nametype=NORMAL`,
			`type=PATH|serial=1|item=0|name=/tmp/a b & name=x|inode=409248|nametype=NORMAL`,
		},
		{
			`node=web1 type=USER_AUTH msg=audit(1.002:1): pid=1 uid=0 auid=4294967295 ses=4294967295 msg='op=PAM:authentication acct="root" exe="/usr/bin/su" hostname=? res=failed'`,
			`type=USER_AUTH|serial=1|pid=1|uid=0|auid=4294967295|ses=4294967295|op=PAM:authentication|acct=root|exe=/usr/bin/su|hostname=?|res=failed`,
		},
		{
			"type=SYSCALL msg=audit(1.002:1): syscall=59 key=(null)\x1dARCH=x86_64 SYSCALL=execve AUID=\"anna\"",
			`type=SYSCALL|serial=1|syscall=59|key=(null)|ARCH=x86_64|SYSCALL=execve|AUID=anna`,
		},
		{
			`type=AVC msg=audit(1.002:1): avc:  denied  { read } for  pid=1 comm="x" name="y"`, `type=AVC|serial=1|pid=1|comm=x|name=y`,
		},
		{`type=EOE msg=audit(1.002:1): `, `type=EOE|serial=1`},
		{`type=EOE msg=audit(1.002:1):`, `type=EOE|serial=1`},
		// A name in quotes that were never closed is the rest of a word.
		{`type=PATH msg=audit(1.002:1): name="x`, `type=PATH|serial=1|name="x`},
	} {
		a, ok := normalise.ParseAudit(c.line)
		if !ok {
			t.Errorf("not read: %s", c.line)
			continue
		}
		var got []string
		for _, f := range a.Fields {
			got = append(got, f.Name+"="+f.Value)
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%s\n got  %s\n want %s", c.line, strings.Join(got, "|"), c.want)
		}
	}
	a, _ := normalise.ParseAudit(`node=web1 type=EOE msg=audit(1364481363.243:24287): `)
	if !a.Time.Equal(time.Date(2013, 3, 28, 14, 36, 3, 243e6, time.UTC)) || a.Serial != "24287" || a.Node != "web1" {
		t.Errorf("%+v", &a)
	}
	for _, line := range []string{
		"", "type=", "type=X", "type=X msg=audit(", "type=X msg=audit(1.2:x): a=b", "type=X msg=audit(1:2): a=b", "type=X msg=audit(1.1000:2): a",
		"Nov  1 02:03:04 host sshd[1]: type=X msg=audit(1.2:3): a=b", "msg=audit(1.2:3): type=X", "type=X (1.2:3): a=b",
	} {
		if a, ok := normalise.ParseAudit(line); ok {
			t.Errorf("%q is read as %+v", line, &a)
		}
	}
}

var (
	auditd  = sigma.Logsource{Product: "linux", Service: "auditd"}
	started = sigma.Logsource{Product: "linux", Category: "process_creation", Service: "auditd"}
)

func fieldsOf(t *testing.T, fields map[string]string) (map[string]string, []sigma.Logsource) {
	t.Helper()
	b, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	got, sources, _ := event(&core.Event{Source: "file/audit.log", Provenance: core.ProvenanceLocal, Fields: b})
	return got, sources
}

func TestAuditRecordsOfEveryCollector(t *testing.T) {
	execve := `type=EXECVE msg=audit(1.002:1): argc=1 a0="id"`
	for name, in := range map[string]map[string]string{
		"file":    {"message": execve, "line": execve},
		"syslog":  {"program": "audispd", "message": execve},
		"journal": {"_TRANSPORT": "audit", "SYSLOG_IDENTIFIER": "audit", "_AUDIT_TYPE_NAME": "EXECVE", "MESSAGE": `EXECVE argc=1 a0="id"`},
	} {
		got, sources := fieldsOf(t, in)
		if !slices.Contains(sources, auditd) || !slices.Contains(sources, started) || got["a0"] != "id" || got["CommandLine"] != "id" || got["type"] != "EXECVE" {
			t.Errorf("%s: %v %v", name, sources, got)
		}
	}
	_, sources := fieldsOf(t, map[string]string{"message": `type=SYSCALL msg=audit(1.002:1): arch=c000003e syscall=59 success=yes exe="/bin/id"`})
	if !slices.Contains(sources, started) {
		t.Errorf("execve is no start of a process: %v", sources)
	}
	_, sources = fieldsOf(t, map[string]string{"message": `type=SYSCALL msg=audit(1.002:1): arch=c00000b7 syscall=59 success=yes`})
	if slices.Contains(sources, started) {
		t.Errorf("pipe2 is the start of a process")
	}
}

// TestNobodyElseSpeaksForAuditd: logger(1) writes any line it likes.
func TestNobodyElseSpeaksForAuditd(t *testing.T) {
	forged := `type=EXECVE msg=audit(1.002:1): argc=1 a0="id"`
	for _, in := range []map[string]string{
		{"program": "anna", "message": forged},
		{"SYSLOG_IDENTIFIER": "audit", "_COMM": "logger", "_TRANSPORT": "syslog", "MESSAGE": forged},
		{"SYSLOG_IDENTIFIER": "audispd", "_TRANSPORT": "stdout", "MESSAGE": forged},
	} {
		if got, sources := fieldsOf(t, in); got["a0"] != "" || slices.Contains(sources, started) {
			t.Errorf("%v: %v %v", in, got, sources)
		}
	}
}

func TestSudoNamesEveryUser(t *testing.T) {
	var users []string
	b := []byte(`{"program":"sudo","message":"anna : TTY=pts/0 ; PWD=/tmp/x ; USER=nobody ; USER=#-1 ; COMMAND=/bin/sh"}`)
	normalise.New().Event(&core.Event{Source: "file/auth.log", Fields: b}, func(k, v string) {
		if k == "USER" {
			users = append(users, v)
		}
	})
	if !slices.Equal(users, []string{"nobody", "#-1"}) {
		t.Errorf("%q", users)
	}
}

func FuzzParseAudit(f *testing.F) {
	f.Add(`type=EXECVE msg=audit(1.002:1): argc=1 a0="id" a1=41 msg='x=y'`)
	f.Add("node=a type=PATH msg=audit(1.002:1): name=\x1d\x00=\"\xff")
	f.Fuzz(func(t *testing.T, line string) {
		a, ok := normalise.ParseAudit(line)
		if ok && (len(a.Fields) < 2 || len(a.Fields) > 2050 || a.Fields[0].Name != "type") {
			t.Errorf("%d fields", len(a.Fields))
		}
	})
}

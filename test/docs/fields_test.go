package docs

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

// TestFields holds fields.md: what the taxonomy knows of logsources and names.
func TestFields(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(fieldsHead)
	for _, src := range taxonomy.Known() {
		origins := taxonomy.Origins(src)
		more := ""
		if len(origins) > shownOrigins {
			more = fmt.Sprintf("; %d more", len(origins)-shownOrigins)
			origins = origins[:shownOrigins]
		}
		fmt.Fprintf(&b, "| `%s` | %s%s |\n", src, cell(strings.Join(origins, "; ")), more)
	}
	b.WriteString(fieldsNames)
	for _, group := range fieldGroups(t) {
		fmt.Fprintf(&b, "\n### %s\n\n| field | also |\n|---|---|\n", group.title)
		for _, f := range taxonomy.Fields(group.src) {
			fmt.Fprintf(&b, "| `%s` | %s |\n", f, quoted(taxonomy.Names(group.src, f)))
		}
	}
	b.WriteString(fieldsEnd)
	reference(t, "fields.md", b.Bytes())
}

// shownOrigins is how many ways to a logsource the page tells.
const shownOrigins = 3

type fieldGroup struct {
	title string
	src   sigma.Logsource
	names string
}

// fieldGroups joins the logsources that have the same names. Those that rules
// may leave the product out of are told once for all.
func fieldGroups(t *testing.T) []fieldGroup {
	t.Helper()
	var out []fieldGroup
	seen := map[sigma.Logsource]bool{}
	for _, src := range taxonomy.Known() {
		if src.Category != "" && (src.Product == "windows" || src.Product == "linux" || src.Product == "macos") {
			src.Service = ""
		}
		fields := taxonomy.Fields(src)
		if seen[src] || len(fields) == 0 {
			continue
		}
		seen[src] = true
		var key strings.Builder
		for _, f := range fields {
			key.WriteString(f + quoted(taxonomy.Names(src, f)) + "\n")
		}
		i := slices.IndexFunc(out, func(g fieldGroup) bool { return g.names == key.String() })
		if i < 0 {
			out = append(out, fieldGroup{"`" + src.String() + "`", src, key.String()})
			continue
		}
		out[i].title += ", `" + src.String() + "`"
	}
	if len(out) < 20 {
		t.Fatalf("only %d groups of fields", len(out))
	}
	return out
}

func quoted(names []string) string {
	if len(names) == 0 {
		return "its shapes alone"
	}
	return "`" + cell(strings.Join(names, "`, `")) + "`"
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

const fieldsHead = `# Fields

How a raw event tells which logsource it is of, and under which names events carry the fields that rules ask for. Generated from
` + "`siem/sigma/taxonomy`" + `; a test holds this page against it. What the normaliser reads from lines of logs (sshd, sudo, auditd) it says itself.

An event is asked the rules of every logsource that it is recognised for. No route asks that something be absent, so an event that claims
to be a second thing is asked more rules and never fewer. The number of an event of Windows is nothing without its channel.

Nothing in a line of free text tells whose it is. Whoever collects such logs says so in ` + "`logsource.product`, `logsource.category` and `logsource.service`" + `.

## Logsources

Product, category and service; ` + "`-`" + ` stands for a part that is open.

| logsource | its events |
|---|---|
`

const fieldsNames = `
## Shapes

A field ` + "`X`" + ` of an event of Windows is found as ` + "`X`, `winlog.event_data.X`, `winlog.user_data.X`, `event_data.X`, `Event.EventData.X`, `EventData.X`, `data.win.eventdata.x` and `win.eventdata.x`" + `,
and in the elements of ` + "`Event.UserData`" + ` that the event's service writes. So is each of the other names that the Security log has for it.
What the event log says itself is found in the shapes of its header:

| field | also |
|---|---|
` + "| `Channel` | `winlog.channel`, `log_name`, `Event.System.Channel`, `System.Channel`, `data.win.system.channel`, `metadata.log_name` |" + `
` + "| `EventID` | `winlog.event_id`, `event.code`, `event_id`, `EventCode`, `Event.System.EventID`, `Event.System.EventID.#text`, `System.EventID`, `System.EventID.Value`, `data.win.system.eventID`, `metadata.event_code` |" + `
` + "| `Provider_Name` | `winlog.provider_name`, `event.provider`, `source_name`, `SourceName`, `ProviderName`, `Event.System.Provider.Name`, `Event.System.Provider.#attributes.Name`, `System.Provider.Name`, `data.win.system.providerName` |" + `

## Names

What else a field is called, by logsource: in the Security log, ECS, OCSF, journald, auditd and the logs of clouds. Logsources with the same
names stand together.
`

const fieldsEnd = `
## What names can't do

An alias gives a field another name and never another value. These differ in value, and a rule about them may not hold though its field is
found:

- Security 4688 has process ids in hexadecimal (` + "`0x1a4`" + `), Sysmon in decimal.
- Sysmon's ` + "`User` is `DOMAIN\\name`; `SubjectUserName` and ECS `user.name`" + ` are the bare name.
- Sysmon's ` + "`Hashes` is one text (`MD5=..,SHA256=..`)" + `; ECS and OCSF have each hash by itself, without its kind.
- Security 4657 writes ` + "`\\REGISTRY\\MACHINE\\..` for `HKLM\\..`, and the value's name in `ObjectValueName`" + `.
- Security 5156 writes the program as ` + "`\\device\\harddiskvolume2\\..`, and `Direction` in place of `Initiated`" + `.
- auditd has the program in ` + "`SYSCALL` and the command in `EXECVE` and `PROCTITLE`" + `, three records: a rule that asks for both needs a source that joins them
  (Sysmon for Linux, Auditbeat).
- JSON in which the name of a field is a value (` + "`{\"@Name\": \"Image\", \"#text\": \"..\"}`" + `) has no names.
`

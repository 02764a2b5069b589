package actions

import (
	"regexp"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

var (
	// uses is a key with its value in one line.
	uses = regexp.MustCompile(`^\s*(?:-\s+)*["']?uses["']?\s*:\s+(?:[!&]\S+\s+)*["']?([^\s"'#>|{}[\],]+)["']?\s*(?:#\s*(.*))?$`)
	// open is the key whose value stands below, asked one in whatever form.
	open  = regexp.MustCompile(`^\s*(?:-\s+)*["']?uses["']?\s*:\s*(?:[|>][-+0-9]*\s*)?(?:#.*)?$`)
	asked = regexp.MustCompile(`^\s*(?:[-?]\s+|[!&]\S*\s+)*["']?uses["']?\s*(?::(?:\s|$)|$)`)
	below = regexp.MustCompile(`^\s*["']?([^\s"'#]+)["']?\s*(?:#\s*(.*))?$`)
	// inFlow is the key between brackets: {name: x, uses: a/b@v1}.
	inFlow   = regexp.MustCompile(`(?:^\s*(?:-\s+)?|[{,]\s*)["']?uses["']?\s*:\s*(?:["']?([^\s"'#,{}[\]]+))?`)
	flows    = regexp.MustCompile(`^\s*(?:-\s+)*(?:["']?[\w-]+["']?\s*:\s+)?([[{].*)$`)
	literal  = regexp.MustCompile(`(?::|-)\s+(?:[!&]\S+\s+)*[|>][-+0-9]*\s*(?:#.*)?$`)
	keyBegin = regexp.MustCompile(`^\s*(?:-\s+)*`)
)

// lines reads a workflow line by line, which takes what no reader of YAML does:
// templates, and files that are broken elsewhere.
type lines struct {
	out    *extract.Sink
	number int
	// waits is the line of a key whose value has not come yet.
	waits int
	// brackets are those that are open, inText whether a block of text is, whose
	// lines are indented by more than indent.
	brackets, indent int
	inText           bool
}

func (l *lines) read(text string) {
	for line := range strings.Lines(text) {
		l.number++
		line = strings.TrimRight(line, " \t\r\n")
		body := strings.TrimSpace(line)
		if body == "" || body[0] == '#' {
			continue
		}
		l.line(line)
	}
	l.unread(l.waits)
}

func (l *lines) line(line string) {
	if l.waits > 0 {
		l.awaited(line)
		return
	}
	l.inText = l.inText && len(line)-len(strings.TrimLeft(line, " ")) > l.indent
	if m := uses.FindStringSubmatch(line); m != nil && l.brackets == 0 {
		tell(l.number, m[1], m[2], l.out)
		return
	}
	switch {
	case l.inText:
		return
	case l.brackets > 0:
		l.flow(line)
	case open.MatchString(line):
		l.waits = l.number
	case asked.MatchString(line):
		l.unread(l.number)
	case flows.MatchString(line):
		l.flow(flows.FindStringSubmatch(line)[1])
	case literal.MatchString(line):
		l.inText, l.indent = true, len(keyBegin.FindString(line))
	}
}

// awaited is the line below a key without a value.
func (l *lines) awaited(line string) {
	at := l.waits
	l.waits = 0
	if m := below.FindStringSubmatch(line); m != nil && !strings.HasSuffix(m[1], ":") {
		tell(l.number, m[1], m[2], l.out)
		return
	}
	l.unread(at)
	l.line(line)
}

// flow reads what stands between brackets in a line.
func (l *lines) flow(text string) {
	for _, m := range inFlow.FindAllStringSubmatch(text, -1) {
		if m[1] == "" {
			l.unread(l.number)
			continue
		}
		tell(l.number, m[1], "", l.out)
	}
	l.brackets = max(l.brackets+balance(text), 0)
}

// balance is how many brackets a line opens and does not close.
func balance(text string) (open int) {
	quote := byte(0)
	for i := range len(text) {
		switch c := text[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '{' || c == '[':
			open++
		case c == '}' || c == ']':
			open--
		case c == '#' && i > 0 && text[i-1] == ' ':
			return open
		}
	}
	return open
}

func (l *lines) unread(at int) {
	if at > 0 {
		l.out.Gap(scanning.ReasonUnsupported, l.out.At(at), "which action is used stands in a form that is not read; write it as uses: owner/name@version")
	}
}

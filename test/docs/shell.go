package docs

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Command is a command line of this product that a page shows.
type Command struct {
	Page string
	Line int
	// Program is interlock or interlock-agent.
	Program string
	Args    []string
	// Whole says that it can be typed as it stands; one in running text may
	// name a verb alone.
	Whole bool
}

var (
	prompt     = regexp.MustCompile(`(?m)^[a-z0-9-]*[$#] `)
	inline     = regexp.MustCompile("`([^`]+)`")
	assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)
)

// Commands lists the command lines of a page: those of its blocks, and those
// that its text names.
func (p Page) Commands() []Command {
	var list []Command
	for _, b := range p.Blocks {
		if b.Hidden || b.Lang != "" && b.Lang != "sh" && b.Lang != "bash" {
			continue
		}
		text := prompt.ReplaceAllString(b.Text, "")
		for _, name := range b.Names {
			text = placeholder(name).ReplaceAllString(text, "1") // a name and a number
		}
		for _, c := range commands(text) {
			list = append(list, Command{p.Path, b.Line + c.line, c.program, c.args, true})
		}
	}
	for i, line := range p.Prose() {
		for _, code := range inline.FindAllStringSubmatch(line, -1) {
			for _, c := range commands(code[1]) {
				list = append(list, Command{p.Path, i + 1, c.program, c.args, false})
			}
		}
	}
	return list
}

// Examples lists the command lines of a help text: the indented lines after
// "Example:".
func Examples(help string) []Command {
	_, text, found := strings.Cut(help, "Example:\n")
	if !found {
		return nil
	}
	var block []string
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "  ") {
			break
		}
		block = append(block, line)
	}
	var list []Command
	for _, c := range commands(strings.Join(block, "")) {
		list = append(list, Command{Program: c.program, Args: c.args, Whole: true})
	}
	return list
}

type command struct {
	line    int
	program string
	args    []string
}

// commands finds this product's programs in shell text.
func commands(text string) (list []command) {
	s := &shell{text: []rune(text)}
	for !s.done() {
		words, line := s.command(0)
		list = append(list, s.nested...)
		s.nested = nil
		if c, ours := ourCommand(words); ours {
			c.line = line
			list = append(list, c)
		}
	}
	return list
}

// ourCommand takes away what stands before the program: variables, sudo, the
// test's own helpers.
func ourCommand(words []string) (c command, ours bool) {
	for len(words) > 0 {
		switch {
		case assignment.MatchString(words[0]), slices.Contains([]string{"!", "await", "then", "do", "else", "if", "exec", "time"}, words[0]):
			words = words[1:]
		case words[0] == "sudo" && len(words) > 2 && words[1] == "-u":
			words = words[3:]
		case words[0] == "sudo":
			words = words[1:]
		case len(words) > 2 && words[0] == "go" && words[1] == "run":
			words = words[2:]
		default:
			name := path.Base(words[0])
			return command{program: name, args: words[1:]}, name == "interlock" || name == "interlock-agent"
		}
	}
	return c, false
}

// shell reads as much of the shell's grammar as examples need.
type shell struct {
	text   []rune
	at     int
	line   int
	nested []command // from $( )
}

func (s *shell) done() bool { return s.at >= len(s.text) }

func (s *shell) take() rune {
	r := s.text[s.at]
	s.at++
	if r == '\n' {
		s.line++
	}
	return r
}

func (s *shell) peek() rune {
	if s.done() {
		return 0
	}
	return s.text[s.at]
}

// next is the rune after the one that peek shows.
func (s *shell) next() rune {
	if s.at+1 >= len(s.text) {
		return 0
	}
	return s.text[s.at+1]
}

// command reads the words of one command. end is the rune that closes the text
// it stands in, 0 at the top.
func (s *shell) command(end rune) (words []string, line int) {
	line = s.line
	redirect := false
	for !s.done() {
		switch r := s.peek(); {
		case r == end && end != 0:
			return words, line
		case strings.ContainsRune("\n;|&()", r):
			s.take()
			return words, line
		case r == '#':
			for !s.done() && s.peek() != '\n' {
				s.take()
			}
		case r == '>' || r == '<':
			s.take()
			if s.peek() == '&' || s.peek() == r {
				s.take()
			}
			redirect = true
		case r == '\\' && s.next() == '\n':
			s.take()
			s.take()
		case unicode.IsSpace(r):
			s.take()
		default:
			word, literal := s.word(end)
			switch {
			case redirect:
				redirect = false
			case literal || !redirection(word, s.peek()):
				words = append(words, word)
			}
		}
	}
	return words, line
}

// redirection is the number before > in 2>file.
func redirection(word string, next rune) bool {
	return next == '>' && (word == "1" || word == "2")
}

// word reads one word; literal says that a part of it was quoted.
func (s *shell) word(end rune) (text string, literal bool) {
	var b strings.Builder
	for !s.done() {
		r := s.peek()
		if unicode.IsSpace(r) || strings.ContainsRune(";|&()<>", r) || r == end && end != 0 {
			break
		}
		s.take()
		switch r {
		case '\\':
			s.escaped(&b)
		case '\'':
			literal = true
			for !s.done() && s.peek() != '\'' {
				b.WriteRune(s.take())
			}
			s.skip()
		case '"':
			literal = true
			s.quoted(&b)
		case '$':
			s.expansion(&b)
		default:
			b.WriteRune(r)
		}
	}
	return b.String(), literal
}

func (s *shell) escaped(b *strings.Builder) {
	if r := s.peek(); r != '\n' && r != 0 {
		b.WriteRune(r)
	}
	s.skip()
}

func (s *shell) skip() {
	if !s.done() {
		s.take()
	}
}

func (s *shell) quoted(b *strings.Builder) {
	for !s.done() && s.peek() != '"' {
		if r := s.take(); r == '$' {
			s.expansion(b)
		} else if r == '\\' {
			s.escaped(b)
		} else {
			b.WriteRune(r)
		}
	}
	s.skip()
}

// expansion reads what follows a $: the commands within $( ) are commands, too,
// and stand as one word in the outer one.
func (s *shell) expansion(b *strings.Builder) {
	b.WriteRune('$')
	if s.peek() != '(' {
		return
	}
	s.take()
	for !s.done() && s.peek() != ')' {
		words, line := s.command(')')
		if c, ours := ourCommand(words); ours {
			c.line = line
			s.nested = append(s.nested, c)
		}
	}
	s.skip()
}

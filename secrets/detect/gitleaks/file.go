package gitleaks

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/tomlcheck"
)

// file is a .gitleaks.toml as it is written.
type file struct {
	Title       string       `toml:"title"`
	Description string       `toml:"description"`
	MinVersion  string       `toml:"minVersion"`
	Extend      extend       `toml:"extend"`
	Rules       []ruleTable  `toml:"rules"`
	Allowlist   *allowTable  `toml:"allowlist"`
	Allowlists  []allowTable `toml:"allowlists"`

	name string
	// source is who is told to excuse what its allowlists hide; "" of gitleaks' own,
	// which know their own rules' secrets.
	source string
	lines  lines
}

type extend struct {
	Path          string   `toml:"path"`
	URL           string   `toml:"url"`
	UseDefault    bool     `toml:"useDefault"`
	DisabledRules []string `toml:"disabledRules"`
}

type ruleTable struct {
	ID          string       `toml:"id"`
	Description string       `toml:"description"`
	Path        string       `toml:"path"`
	Regex       string       `toml:"regex"`
	SecretGroup int          `toml:"secretGroup"`
	Entropy     float64      `toml:"entropy"`
	Keywords    []string     `toml:"keywords"`
	Tags        []string     `toml:"tags"`
	Allowlist   *allowTable  `toml:"allowlist"`
	Allowlists  []allowTable `toml:"allowlists"`
	Required    []required   `toml:"required"`
	SkipReport  bool         `toml:"skipReport"`
}

type required struct {
	ID            string `toml:"id"`
	WithinLines   *int   `toml:"withinLines"`
	WithinColumns *int   `toml:"withinColumns"`
}

type allowTable struct {
	TargetRules []string `toml:"targetRules"`
	Description string   `toml:"description"`
	Condition   string   `toml:"condition"`
	Commits     []string `toml:"commits"`
	Paths       []string `toml:"paths"`
	RegexTarget string   `toml:"regexTarget"`
	Regexes     []string `toml:"regexes"`
	StopWords   []string `toml:"stopwords"`
}

// maxFile bounds the configuration that somebody named, maxProject the one that was
// found in what is scanned, and what either extends. Both are far more than any has.
const (
	maxFile    = 8 << 20
	maxProject = 1 << 20
)

func decode(name string, data []byte, most int) (*file, error) {
	if len(data) > most {
		return nil, core.E(core.KindTooLarge, "gitleaks.Parse", fmt.Sprintf("%s has more than %d bytes", name, most)).
			WithHint("this is no configuration; name the .gitleaks.toml")
	}
	var asked *tomlcheck.Error
	if errors.As(tomlcheck.Check(data), &asked) {
		return nil, core.E(core.KindTooLarge, "gitleaks.Parse", fmt.Sprintf("%s:%d: %s", name, asked.Line, asked.Msg)).
			WithHint("no configuration needs that; remove what makes it so")
	}
	f := &file{name: name, source: filepath.Base(name)}
	if err := unmarshal(data, f); err != nil {
		return nil, decodeError(name, err)
	}
	f.lines = index(data)
	return f, nil
}

// unmarshal turns a panic into an error: the library has one for a table below
// an empty array of tables, [[rules.0]].
func unmarshal(data []byte, f *file) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("its tables can't be understood: %v", p)
		}
	}()
	return toml.Unmarshal(data, f)
}

func decodeError(name string, err error) error {
	line := 0
	var at *toml.DecodeError
	if errors.As(err, &at) {
		line, _ = at.Position()
	}
	return fault(name, line, err.Error(), "correct the TOML on that line; patterns are best written between ''' and '''")
}

// fault is an error that names its place and its cure.
func fault(name string, line int, what, hint string) error {
	if line > 0 {
		name = fmt.Sprintf("%s:%d", name, line)
	}
	return core.E(core.KindInvalid, "gitleaks.Parse", name+": "+what).WithHint(hint)
}

// fault of the value at a path of the file.
func (f *file) fault(path, what, hint string) error {
	return fault(f.name, f.lines.of(path), what, hint)
}

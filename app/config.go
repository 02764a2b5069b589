package app

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/events"
	"github.com/interlock-security/interlock/platform/httpd"
)

// Config is the server's configuration file. Every field has a default that
// works on one machine; `interlock config print` shows them.
type Config struct {
	Tenant core.TenantID `yaml:"tenant"`
	Site   core.SiteID   `yaml:"site"`
	// Installation names this installation in the audit log's origin and in
	// the trust root; it can't be changed later.
	Installation core.ServiceID `yaml:"installation"`

	Listen  Listen  `yaml:"listen"`
	Store   Store   `yaml:"store"`
	Collect Collect `yaml:"collect"`
	// Events is the event store that searches look into.
	Events    events.Settings `yaml:"events"`
	Operators []Operator      `yaml:"operators"`
	Rules     string          `yaml:"rules"` // folder of rules beside the shipped ones, "" for none
	// RulesLink is where that folder can be read by others: a rule without a
	// link of its own has its file's address below it on every alert.
	RulesLink string `yaml:"rules_link"`
	// RulesPlaceholders is a YAML file with the values of %name% in rules, "" for
	// none: a map from each name to its value or a list of them.
	RulesPlaceholders string `yaml:"rules_placeholders"`
	// Advisories is the folder of the advisory database that "interlock scan db"
	// keeps, "" for the one in the data directory.
	Advisories string   `yaml:"advisories"`
	Findings   Findings `yaml:"findings"`
}

// Findings is what closes findings beside people and scans.
type Findings struct {
	// VEX are the authors of VEX documents whose word counts; nobody by default.
	VEX []VEXAuthor `yaml:"vex"`
}

// VEXAuthor is somebody whose statements close findings.
type VEXAuthor struct {
	Author  string `yaml:"author"`   // as the documents write it
	Source  string `yaml:"source"`   // "" for any
	MaxDays int    `yaml:"max_days"` // 0 for any age
}

func (f *Findings) validate() error {
	for i, a := range f.VEX {
		if a.Author == "" || a.MaxDays < 0 {
			return fmt.Errorf("findings.vex[%d]: an author has a name, and max_days is not negative", i)
		}
	}
	return nil
}

// Listen is where the server is reached.
type Listen struct {
	// Agents is the address of the agent listener. Names are what agents
	// call it by; they stand in its certificate.
	Agents string   `yaml:"agents"`
	Names  []string `yaml:"names"`
	// Management serves health, metrics and profiles.
	Management string `yaml:"management"`
	Exposure   string `yaml:"exposure"`
	// Group is a group of this machine whose members reach the sockets of
	// operator API and stop path, "" for nobody but the server's own user. Who
	// may do what, operators says.
	Group string `yaml:"group"`
	// Console is where people's browsers come to, "" for no console. On
	// loopback it is http://localhost; beyond loopback it is TLS 1.3.
	Console string `yaml:"console"`
	// ConsoleName is the host name that browsers use. Passkeys are bound to it.
	ConsoleName string `yaml:"console_name"`
	// ConsoleCertificate and ConsoleKey are PEM files. Without them the
	// console beyond loopback has the certificate of the agent listener.
	ConsoleCertificate string `yaml:"console_certificate"`
	ConsoleKey         string `yaml:"console_key"`
}

// Store is where state and journal are kept.
type Store struct {
	Driver string `yaml:"driver"` // sqlite | postgres
	DSN    DSN    `yaml:"dsn"`    // postgres only
}

// Collect is what is read beside the devices.
type Collect struct {
	Files    []File `yaml:"files"`
	Syslog   Syslog `yaml:"syslog"`
	Journald bool   `yaml:"journald"`
}

// File is a log that grows line by line.
type File struct {
	Path string `yaml:"path"`
	Type string `yaml:"type"` // "sshd", "syslog"
}

// Syslog is where syslog is taken in; "" switches it off.
type Syslog struct {
	UDP string `yaml:"udp"`
	TCP string `yaml:"tcp"`
}

// Operator maps a local user to a person. The kernel says which uid is at the
// other end of the socket.
type Operator struct {
	UID    uint32        `yaml:"uid"`
	Person core.PersonID `yaml:"person"`
	Roles  []string      `yaml:"roles"`
}

// Roles lists what an operator may be.
var Roles = []string{core.RoleViewer, core.RoleOperator, core.RoleSecurityOfficer, core.RoleAdministrator}

// Default returns the configuration of a first run by the user uid.
func Default(uid int) Config {
	return Config{
		Tenant: core.MustID[core.TenantID]("main"), Site: core.MustID[core.SiteID]("main"),
		Installation: core.MustID[core.ServiceID]("interlock"),
		Listen: Listen{
			Agents: "127.0.0.1:7443", Names: []string{"localhost", "127.0.0.1"},
			Management: "127.0.0.1:7480", Exposure: httpd.ExposureStandard,
			Console: "127.0.0.1:7400", ConsoleName: "localhost",
		},
		Store:     Store{Driver: "sqlite"},
		Events:    events.DefaultSettings(),
		Operators: []Operator{{UID: uint32(uid), Person: core.MustID[core.PersonID]("owner"), Roles: Roles}},
	}
}

// Validate says what is wrong and where.
func (c *Config) Validate() error {
	for name, address := range map[string]string{"listen.agents": c.Listen.Agents, "listen.management": c.Listen.Management} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("%s: %q is not host:port", name, address)
		}
	}
	for name, address := range map[string]string{"collect.syslog.udp": c.Collect.Syslog.UDP, "collect.syslog.tcp": c.Collect.Syslog.TCP} {
		if _, _, err := net.SplitHostPort(address); address != "" && err != nil {
			return fmt.Errorf("%s: %q is not host:port", name, address)
		}
	}
	if err := c.Findings.validate(); err != nil {
		return err
	}
	if err := c.Listen.validate(); err != nil {
		return err
	}
	if c.Tenant.IsZero() || c.Site.IsZero() || c.Installation.IsZero() {
		return fmt.Errorf("tenant, site and installation need a name each")
	}
	if (c.Store.Driver == "postgres") != (c.Store.DSN != "") || c.Store.Driver != "sqlite" && c.Store.Driver != "postgres" {
		return fmt.Errorf("store: driver is sqlite, or postgres with a dsn")
	}
	for i, f := range c.Collect.Files {
		if !filepath.IsAbs(f.Path) || f.Type != "sshd" && f.Type != "syslog" {
			return fmt.Errorf("collect.files[%d]: needs an absolute path and the type sshd or syslog", i)
		}
	}
	if err := c.Events.Validate(); err != nil {
		return err
	}
	if u, err := url.Parse(c.RulesLink); c.RulesLink != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
		return fmt.Errorf("rules_link: %q is not an address that begins with https:// or http://", c.RulesLink)
	}
	return c.validateOperators()
}

func (l Listen) validate() error {
	switch l.Exposure {
	case httpd.ExposureMinimal, httpd.ExposureStandard, httpd.ExposureFull:
	default:
		return fmt.Errorf("listen.exposure: %q is not minimal, standard or full", l.Exposure)
	}
	if l.Exposure != httpd.ExposureMinimal && !httpd.LoopbackOnly(l.Management) {
		return fmt.Errorf("listen.management: metrics and profiles ask for no credentials; beyond loopback only exposure minimal is allowed")
	}
	if len(l.Names) == 0 {
		return fmt.Errorf("listen.names: agents need at least one name to call the server by")
	}
	return l.validateConsole()
}

func (c *Config) validateOperators() error {
	seen := map[uint32]bool{}
	for i, o := range c.Operators {
		if o.Person.IsZero() || seen[o.UID] {
			return fmt.Errorf("operators[%d]: uid %d needs a person of its own", i, o.UID)
		}
		seen[o.UID] = true
		for _, r := range o.Roles {
			if !known(r) {
				return fmt.Errorf("operators[%d]: %q is not a role; known are %v", i, r, Roles)
			}
		}
	}
	return nil
}

func known(role string) bool {
	for _, r := range Roles {
		if r == role {
			return true
		}
	}
	return false
}

// Paths are the files of a data directory. One process opens it.
type Paths struct{ Dir string }

// Host is the folder of the host keyring: opened unattended at start.
func (p Paths) Host() string { return filepath.Join(p.Dir, "host") }

// Keys is opened by the keys process alone.
func (p Paths) Keys() string { return filepath.Join(p.Dir, "keys") }

// State is the state database.
func (p Paths) State() string { return filepath.Join(p.Dir, "state.db") }

// Journal is the raw journal's database.
func (p Paths) Journal() string { return filepath.Join(p.Dir, "journal.db") }

// Events is opened by the events process alone.
func (p Paths) Events() string { return filepath.Join(p.Dir, "events") }

// Audit is the audit log's folder.
func (p Paths) Audit() string { return filepath.Join(p.Dir, "audit") }

// Ring is the stop path's record ring.
func (p Paths) Ring() string { return filepath.Join(p.Dir, "stop.ring") }

// Roster is who may stop what, for a start while the database is down.
func (p Paths) Roster() string { return filepath.Join(p.Dir, "stop.roster") }

// API is the operator API's socket.
func (p Paths) API() string { return filepath.Join(p.Dir, "api.sock") }

// Stop is the stop path's socket.
func (p Paths) Stop() string { return filepath.Join(p.Dir, "stop.sock") }

// ConfigFile is the configuration that is read unless another one is named.
func (p Paths) ConfigFile() string { return filepath.Join(p.Dir, "interlock.yaml") }

// Collect is where collectors remember how far they have read.
func (p Paths) Collect() string { return filepath.Join(p.Dir, "collect") }

// Advisories is the advisory database's folder, unless the configuration names
// another one.
func (p Paths) Advisories() string { return filepath.Join(p.Dir, "advisories") }

// Agent is the folder of this machine's own agent.
func (p Paths) Agent() string { return filepath.Join(p.Dir, "agent") }

// AgentRun is where that agent has its local socket.
func (p Paths) AgentRun() string { return filepath.Join(p.Agent(), "run") }

// stateProbe bounds how long a health check waits for the database.
const stateProbe = 2 * time.Second

package grammar

import (
	"bytes"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/secrets/detect"
)

const ruleCommand = "command-line-password"

// commands finds the passwords that are handed to programs on their command
// line: in scripts, shell history, documentation and code that starts programs.
type commands struct{}

// Rules implements [detect.Grammar].
func (commands) Rules() []detect.Rule {
	return []detect.Rule{{ID: ruleCommand, Title: "password on a command line", Kind: detect.KindPassword, Severity: core.SeverityHigh}}
}

// Keywords implements [detect.Grammar].
func (commands) Keywords() []string {
	list := make([]string, 0, len(programs))
	for name, p := range programs {
		switch {
		case p.sub != "":
			name += " " + p.sub
		case len(name) <= 3 || name == "http":
			name += " " // short names stand in every text
		}
		list = append(list, name)
	}
	return list
}

// Wants implements [detect.Grammar].
func (commands) Wants(string) bool { return false }

// All implements [detect.Grammar].
func (commands) All(detect.Text, func(detect.Hit)) {}

// manner is how a flag carries its password.
type manner uint8

const (
	inNext     manner = iota // -a secret
	attached                 // -psecret
	either                   // -p secret or -psecret
	afterColon               // -u user:secret
	afterSign                // -U user%secret
	passColon                // -pass pass:secret
	ending                   // /p:secret, /pass:secret: the flag is the word's start
	afterComma               // -u user,secret
	community                // -c secret, where public and private are none
)

// separator stands between the user and the password.
func (m manner) separator() byte {
	switch m {
	case afterSign:
		return '%'
	case afterComma:
		return ','
	}
	return ':'
}

type flag struct {
	name string
	how  manner
}

// program says how one program is given its password.
type program struct {
	flags []flag
	// sub must be among the words before the flag: docker login.
	sub string
	// operand counts, from one, the word that is the password, flags and what
	// belongs to them left out; zero is none. It holds only where operandFlag,
	// if any, was seen.
	operand     int
	operandFlag string
}

var programs = map[string]*program{
	"curl":             {flags: []flag{{"-u", afterColon}, {"--user", afterColon}, {"-U", afterColon}, {"--proxy-user", afterColon}}},
	"wget":             {flags: []flag{{"--http-password", inNext}, {"--ftp-password", inNext}}},
	"http":             {flags: []flag{{"-a", afterColon}, {"--auth", afterColon}}},
	"mysql":            {flags: []flag{{"-p", attached}}},
	"mysqldump":        {flags: []flag{{"-p", attached}}},
	"mysqladmin":       {flags: []flag{{"-p", attached}, {"password", inNext}}},
	"mysqlimport":      {flags: []flag{{"-p", attached}}},
	"mariadb":          {flags: []flag{{"-p", attached}}},
	"xtrabackup":       {flags: []flag{{"-p", attached}}},
	"sshpass":          {flags: []flag{{"-p", either}}},
	"redis-cli":        {flags: []flag{{"-a", inNext}}},
	"mongo":            {flags: []flag{{"-p", either}}},
	"mongosh":          {flags: []flag{{"-p", either}}},
	"mongodump":        {flags: []flag{{"-p", either}}},
	"mongorestore":     {flags: []flag{{"-p", either}}},
	"mongoimport":      {flags: []flag{{"-p", either}}},
	"cqlsh":            {flags: []flag{{"-p", inNext}}},
	"sqlcmd":           {flags: []flag{{"-P", either}}},
	"bcp":              {flags: []flag{{"-P", either}}},
	"isql":             {flags: []flag{{"-P", either}}},
	"tsql":             {flags: []flag{{"-P", either}}},
	"smbclient":        {flags: []flag{{"-U", afterSign}, {"--user", afterSign}}},
	"rpcclient":        {flags: []flag{{"-U", afterSign}}},
	"smbmap":           {flags: []flag{{"-p", inNext}}},
	"crackmapexec":     {flags: []flag{{"-p", inNext}}},
	"evil-winrm":       {flags: []flag{{"-p", inNext}}},
	"winexe":           {flags: []flag{{"-U", afterSign}}},
	"ldapsearch":       {flags: []flag{{"-w", either}}},
	"ldapadd":          {flags: []flag{{"-w", either}}},
	"ldapmodify":       {flags: []flag{{"-w", either}}},
	"ldapdelete":       {flags: []flag{{"-w", either}}},
	"ldapwhoami":       {flags: []flag{{"-w", either}}},
	"ldappasswd":       {flags: []flag{{"-w", either}, {"-s", inNext}}},
	"openssl":          {flags: []flag{{"-passin", passColon}, {"-passout", passColon}, {"-pass", passColon}, {"-password", passColon}, {"-k", inNext}}},
	"docker":           {flags: []flag{{"-p", either}}, sub: "login"},
	"podman":           {flags: []flag{{"-p", either}}, sub: "login"},
	"buildah":          {flags: []flag{{"-p", either}}, sub: "login"},
	"nerdctl":          {flags: []flag{{"-p", either}}, sub: "login"},
	"skopeo":           {flags: []flag{{"-p", either}, {"--creds", afterColon}, {"--src-creds", afterColon}, {"--dest-creds", afterColon}}},
	"helm":             {flags: []flag{{"-p", either}}, sub: "registry"},
	"oc":               {flags: []flag{{"-p", either}}, sub: "login"},
	"cf":               {flags: []flag{{"-p", either}}, sub: "login"},
	"az":               {flags: []flag{{"-p", inNext}}, sub: "login"},
	"htpasswd":         {operand: 3, operandFlag: "b"},
	"useradd":          {flags: []flag{{"-p", inNext}}},
	"usermod":          {flags: []flag{{"-p", inNext}}},
	"snmpwalk":         &snmp,
	"snmpget":          &snmp,
	"snmpset":          &snmp,
	"snmpbulkwalk":     &snmp,
	"snmptrap":         &snmp,
	"snmpinform":       &snmp,
	"snmpgetnext":      &snmp,
	"snmpbulkget":      &snmp,
	"snmptable":        &snmp,
	"onesixtyone":      {flags: []flag{{"-c", community}}},
	"ipmitool":         {flags: []flag{{"-P", inNext}}},
	"racadm":           {flags: []flag{{"-p", inNext}}},
	"ipmipower":        {flags: []flag{{"-p", inNext}}},
	"xfreerdp":         {flags: []flag{{"/p:", ending}, {"-p", inNext}}},
	"wfreerdp":         {flags: []flag{{"/p:", ending}}},
	"rdesktop":         {flags: []flag{{"-p", inNext}}},
	"schtasks":         {flags: []flag{{"/rp", inNext}, {"/p", inNext}}},
	"cmdkey":           {flags: []flag{{"/pass:", ending}}},
	"plink":            {flags: []flag{{"-pw", inNext}}},
	"pscp":             {flags: []flag{{"-pw", inNext}}},
	"psftp":            {flags: []flag{{"-pw", inNext}}},
	"putty":            {flags: []flag{{"-pw", inNext}}},
	"psexec":           {flags: []flag{{"-p", inNext}}},
	"wmic":             {flags: []flag{{"/password:", ending}}},
	"keytool":          &stores,
	"jarsigner":        &stores,
	"apksigner":        {flags: []flag{{"--ks-pass", passColon}, {"--key-pass", passColon}}},
	"signtool":         {flags: []flag{{"/p", inNext}}},
	"unzip":            {flags: []flag{{"-P", either}}},
	"zip":              {flags: []flag{{"-P", either}, {"--password", inNext}}},
	"7z":               {flags: []flag{{"-p", attached}}},
	"7za":              {flags: []flag{{"-p", attached}}},
	"7zz":              {flags: []flag{{"-p", attached}}},
	"rar":              {flags: []flag{{"-hp", attached}, {"-p", attached}}},
	"unrar":            {flags: []flag{{"-p", attached}}},
	"mosquitto_pub":    {flags: []flag{{"-P", either}}},
	"mosquitto_sub":    {flags: []flag{{"-P", either}}},
	"mosquitto_rr":     {flags: []flag{{"-P", either}}},
	"mosquitto_passwd": {operand: 3, operandFlag: "b"},
	"lftp":             {flags: []flag{{"-u", afterComma}}},
	"ncftp":            {flags: []flag{{"-p", inNext}}},
	"nmcli":            {flags: []flag{{"password", inNext}, {"wifi-sec.psk", inNext}, {"802-11-wireless-security.psk", inNext}}},
	"runas":            {flags: []flag{{"/password:", ending}}},
	"gpg":              {flags: []flag{{"--passphrase", inNext}}},
	"qpdf":             {flags: []flag{{"--password", inNext}}},
	"wpa_passphrase":   {operand: 2},
	"rabbitmqadmin":    {flags: []flag{{"-p", inNext}}},
	"vault":            {sub: "login", operand: 2},
	"p4":               {flags: []flag{{"-P", inNext}}},
	"beeline":          {flags: []flag{{"-p", inNext}}},
	"hydra":            {flags: []flag{{"-p", inNext}}},
	"dsmod":            {flags: []flag{{"-pwd", inNext}}},
	"dsadd":            {flags: []flag{{"-pwd", inNext}}},
	"netdom":           {flags: []flag{{"/pd:", ending}, {"/passwordd:", ending}}},
	"certutil":         {flags: []flag{{"-p", inNext}}},
	"ssh-keygen":       {flags: []flag{{"-N", inNext}, {"-P", inNext}}},
	"rclone":           {flags: []flag{{"pass", inNext}}, sub: "config"},
	"aws":              {flags: []flag{{"aws_secret_access_key", inNext}}, sub: "configure"},
}

var (
	snmp   = program{flags: []flag{{"-c", community}, {"-A", inNext}, {"-X", inNext}}}
	stores = program{flags: []flag{{"-storepass", inNext}, {"-keypass", inNext}, {"-srcstorepass", inNext}, {"-deststorepass", inNext}, {"-new", inNext}, {"-destkeypass", inNext}, {"-srckeypass", inNext}}}
)

// At implements [detect.Grammar].
func (commands) At(t detect.Text, at, n int, emit func(detect.Hit)) {
	b := t.Body
	if at > 0 && isNameByte(b[at-1]) || at+n >= len(b) {
		return
	}
	if i := bytes.IndexByte(b[at:at+n], ' '); i > 0 {
		n = i
	}
	end := at + n
	if hasPrefixFold(b[end:], ".exe") {
		end += 4
	}
	if b[end-1] != ' ' && (end >= len(b) || !isBlank(b[end]) && !isQuote(b[end])) {
		return
	}
	var buf [24]byte
	p, ok := programs[string(fold(b[at:at+n], buf[:]))]
	if !ok {
		return
	}
	c := command{t: t, p: p, at: at, words: commandWords(b, at, end), emit: emit}
	c.read()
}

// command is one command line that is being read.
type command struct {
	t     detect.Text
	p     *program
	at    int
	words words
	emit  func(detect.Hit)
	// subbed is set once the subcommand was seen, operands counts what is no flag.
	subbed, operandOK bool
	operands          int
	printed           bool // to the terminal: there is no file among the operands
}

func (c *command) read() {
	c.subbed = c.p.sub == ""
	c.operandOK = c.p.operandFlag == ""
	var pending *flag
	for n := 0; n < 64 && c.words.next(); n++ {
		w := c.t.Body[c.words.from:c.words.to]
		if pending != nil {
			f := pending
			if pending = nil; c.value(f, c.words.from, c.words.to) || len(w) > 0 && w[0] != '-' {
				continue
			}
		}
		if !c.subbed {
			c.subbed = string(w) == c.p.sub
			if c.subbed {
				c.operands = 1
			}
			continue
		}
		if pending = c.flag(w); pending == nil {
			c.operand(w)
		}
	}
}

// flag applies the word to the program's flags, and returns the one whose value
// is the next word.
func (c *command) flag(w []byte) *flag {
	for i := range c.p.flags {
		f := &c.p.flags[i]
		if len(w) < len(f.name) || string(w[:len(f.name)]) != f.name {
			continue
		}
		rest := len(f.name)
		switch {
		case len(w) == rest && f.how != attached && f.how != ending:
			return f
		case f.how == attached || f.how == ending || f.how == either && f.name[1] != '-':
			if len(w) > rest {
				c.value(f, c.words.from+rest, c.words.to)
			}
		case w[rest] == '=' || f.how == afterColon && len(f.name) == 2 || f.how == afterSign && len(f.name) == 2:
			c.value(f, c.words.from+rest+b2i(w[rest] == '='), c.words.to)
		}
	}
	return nil
}

// value judges the word that a flag carries its password in.
func (c *command) value(f *flag, from, to int) bool {
	b := c.t.Body
	from, to = unquote(b, from, to)
	user := []byte(nil)
	switch f.how {
	case afterColon, afterSign, afterComma:
		i := bytes.IndexByte(b[from:to], f.how.separator())
		if i < 0 {
			return false
		}
		user = b[from : from+i]
		from += i + 1
	case passColon:
		if !bytes.HasPrefix(b[from:to], []byte("pass:")) {
			return false
		}
		from += 5
	case community:
		return c.emitIf(judgeCommunity(b[from:to]), from, to)
	}
	if from >= to || b[from] == '-' && f.how != attached {
		return false
	}
	return c.emitIf(c.judge(user, b[from:to]), from, to)
}

func (c *command) judge(user, v []byte) bool {
	if samePassword(user, v) {
		return false
	}
	e := evidence{sense: sense{noun: nounPassword, qualified: true}, quoted: true, explicit: true, neighbour: true, name: user}
	e.demo = demonstrates(c.t.Path) || kindOf(c.t.Path) == kindDoc
	return e.judge(v) != refused
}

func (c *command) emitIf(ok bool, from, to int) bool {
	if ok {
		c.emit(detect.Hit{Rule: ruleCommand, Start: from, End: to, MatchStart: c.at, MatchEnd: to})
	}
	return ok
}

// operand counts the words that are no flags; one of them may be the password.
func (c *command) operand(w []byte) {
	if len(w) > 0 && w[0] == '-' {
		if c.p.operandFlag != "" && bytes.Contains(w, []byte(c.p.operandFlag)) {
			c.operandOK = true
			c.printed = c.printed || bytes.IndexByte(w, 'n') > 0
		}
		return
	}
	c.operands++
	if c.p.sub != "" && lettersOnly(w) {
		return // what a login is given was issued; a sentence about one has words
	}
	if c.p.operand != 0 && c.operands == c.p.operand-b2i(c.printed) && c.operandOK && bytes.IndexByte(w, '=') < 0 {
		c.emitIf(c.judge(nil, w), c.words.from, c.words.to)
	}
}

// judgeCommunity refuses the two communities that every device ships with.
func judgeCommunity(v []byte) bool {
	if len(v) < minSecret || len(v) > 64 || reference(v) || equalFold(v, "public") || equalFold(v, "private") || equalFold(v, "community") {
		return false
	}
	s := measure(v)
	return s.space == 0 && !isPlaceholder(v, &s) && !isPlace(v, &s) && (!s.wordlike() || s.digit > 0 || s.n >= 6)
}

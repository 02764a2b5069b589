package grammar

import "strings"

// kind is what sort of text a path names; it says how values are written there.
type kind uint8

const (
	kindUnknown kind = iota
	kindCode
	kindConfig // ini, properties, .env, conf: bare values to the end of the line
	kindShell
	kindYAML
	kindJSON
	kindXML
	kindDoc
	kindData // SQL, CSV, logs
)

// bare reports whether values stand in such texts without quotes.
func (k kind) bare() bool { return k != kindCode && k != kindJSON && k != kindXML }

var kinds = func() map[string]kind {
	m := map[string]kind{}
	for k, list := range map[kind]string{
		kindCode: `go py rb php js jsx ts tsx mjs cjs java kt kts scala groovy cs vb fs c h cc cpp cxx hpp hh m mm rs swift lua pl pm dart ex exs erl
			hs clj r jl vue svelte sol proto graphql asm s css scss less st scl awl nim zig d pas cbl ino vbs bas cls gradle sbt elm ml mli inc phtml
			tcl tm vim awk m4 ac am cmake el td def y l idl x in_ lisp lsp scm rkt texi tex_ pyx pxd pyi erb ejs hbs twig cshtml razor jsp asp aspx`,
		kindConfig: `env ini cfg conf config cnf properties props toml tfvars tf hcl plist_ reg rdp inf desktop service socket netrc pgpass npmrc pypirc rsc uci keyring
			credentials s3cfg boto curlrc wgetrc my_cnf muttrc gitconfig cf nft rules opts options secrets hosts lst list robot resource`,
		kindShell: `sh bash zsh fish ksh csh bat cmd ps1 psm1 psd1 dockerfile mk history bash_history zsh_history profile bashrc zshrc envrc`,
		kindYAML:  `yml yaml sls eyaml jmx_`,
		kindJSON:  `json json5 jsonc tfstate ipynb har webmanifest lock map arb avsc geojson ndjson jsonl postman_collection`,
		kindXML:   `xml xsl xsd wsdl plist csproj vbproj pom xaml html htm xhtml svg resx jmx dbml config_ jsf iml rdl ui`,
		kindDoc:   `md markdown rst adoc asciidoc txt tex org wiki textile 1 5 8 7 man pod text rtf`,
		kindData:  `sql csv tsv log dump out ldif psql`,
	} {
		for _, e := range strings.Fields(list) {
			m[e] = k
		}
	}
	return m
}()

// kindOf reads the path's last element, the extension in lower case.
func kindOf(path string) kind {
	base := path[strings.LastIndexByte(path, '/')+1:]
	for {
		i := strings.LastIndexByte(base, '.')
		if i < 0 {
			return named(base)
		}
		ext := base[i+1:]
		if len(ext) > 20 {
			return kindUnknown
		}
		var buf [20]byte
		for j := range len(ext) {
			buf[j] = lower(ext[j])
		}
		if k, ok := kinds[string(buf[:len(ext)])]; ok {
			return k
		}
		if i == 0 && strings.HasSuffix(ext, "rc") {
			return kindConfig // .fetchmailrc
		}
		// config.yml.bak, .env.production: what stands before counts.
		if i <= 0 {
			return named(base)
		}
		base = base[:i]
	}
}

func named(base string) kind {
	var buf [24]byte
	if len(base) > len(buf) {
		return kindUnknown
	}
	for j := range len(base) {
		buf[j] = lower(base[j])
	}
	switch string(buf[:len(base)]) {
	case "dockerfile", "makefile", "jenkinsfile", "vagrantfile", "containerfile", "justfile", "procfile", "crontab":
		return kindShell
	case "readme", "license", "changelog", "notes", "todo", "install", "news", "authors", "copying":
		return kindDoc
	case "hosts", "secrets", "users", "environment", "profile", "bash_history", "running-config", "startup-config", "passwd", "shadow", "credentials", "config":
		return kindConfig
	}
	return kindUnknown
}

// demonstrates reports whether the path is one where made-up secrets are common:
// tests, examples, documentation.
func demonstrates(path string) bool {
	for len(path) > 0 {
		i := strings.IndexByte(path, '/')
		part := path
		if i >= 0 {
			part, path = path[:i], path[i+1:]
		} else {
			path = ""
		}
		if demonstrator(part, i < 0) {
			return true
		}
	}
	return false
}

var demoParts = set(`test tests testing testdata test-data test_data spec specs fixture fixtures mock mocks __mocks__ __tests__ __fixtures__ example examples sample
	samples demo demos e2e testutil testutils testhelpers test-fixtures docs doc documentation locale locales i18n lang translations messages
	integration-tests unittests cassettes snapshots __snapshots__ playground tutorial tutorials benchmark benchmarks`)

func demonstrator(part string, last bool) bool {
	var buf [48]byte
	if len(part) > len(buf) {
		part = part[len(part)-len(buf):]
	}
	for j := range len(part) {
		buf[j] = lower(part[j])
	}
	p := buf[:len(part)]
	if demoParts[string(p)] {
		return true
	}
	if s := string(p); !last && len(s) > 4 && strings.HasSuffix(s, "test") && s != "latest" {
		return true // httptest, ipmitest
	}
	if !last {
		return false
	}
	s := string(p)
	for _, mark := range [...]string{"_test.", ".test.", ".spec.", "_spec.", "test_", ".example", ".sample", ".dist", ".template", ".tmpl", "example.", "sample.", "examples-", "example-", "_test_", "_testdata", "test_data", "mock_", "-example", "-sample", ".tpl", "tests."} {
		if i := strings.Index(s, mark); i >= 0 && (i == 0 || mark[0] == '.' || mark[0] == '_' || mark[0] == '-') {
			return true
		}
	}
	return strings.HasSuffix(s, "test.java") || strings.HasSuffix(s, "tests.cs") || strings.HasSuffix(s, "test.php") || strings.HasSuffix(s, "test.kt") || strings.HasSuffix(s, "test.cs")
}

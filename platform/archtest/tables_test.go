package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	createTable = regexp.MustCompile(`(?i)create table (?:if not exists )?([a-z_]+)`)
	writesTable = regexp.MustCompile(`(?i)\b(?:insert into|update|delete from|truncate table)\s+([a-z]+_[a-z_]+|jobs)\b`)
)

// owners maps a table's first word to the only folders whose code writes it.
var owners = map[string][]string{
	"journal":  {"platform/journal"},
	"jobs":     {"platform/jobs"},
	"audit":    {"audit"},
	"fleet":    {"fleet"},
	"siem":     {"siem"},
	"response": {"response"},
	"identity": {"identity"},
	"app":      {"app"},
	"scanning": {"scanning"},
}

func prefix(table string) string {
	word, _, _ := strings.Cut(table, "_")
	return word
}

// walkSources calls fn for each file of the module with one of the extensions,
// tests and testdata left out.
func walkSources(t *testing.T, extensions []string, fn func(rel string, text string)) {
	t.Helper()
	base := root(t)
	err := filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || d.Name() == "bench" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		wanted := false
		for _, e := range extensions {
			wanted = wanted || strings.HasSuffix(path, e)
		}
		if d.IsDir() || !wanted || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(base, path)
		if err != nil {
			return err
		}
		fn(filepath.ToSlash(rel), string(text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTablesCarryTheirOwnersName(t *testing.T) {
	seen := 0
	walkSources(t, []string{".sql"}, func(rel, text string) {
		for _, m := range createTable.FindAllStringSubmatch(text, -1) {
			seen++
			if list, known := owners[prefix(m[1])]; !known || !under(list, rel) {
				t.Errorf("%s creates table %s, whose name belongs to %v", rel, m[1], list)
			}
		}
	})
	if seen == 0 {
		t.Error("no migration creates a table: the test looks in the wrong place")
	}
}

func TestTablesHaveOneWriter(t *testing.T) {
	walkSources(t, []string{".go"}, func(rel, text string) {
		for _, m := range writesTable.FindAllStringSubmatch(text, -1) {
			if list, known := owners[prefix(m[1])]; known && !under(list, rel) && !strings.Contains(rel, "test") {
				t.Errorf("%s writes table %s, which belongs to %v", rel, m[1], list)
			}
		}
	})
}

func TestRoutesGoThroughTheRegistry(t *testing.T) {
	direct := regexp.MustCompile(`http\.(HandleFunc|Handle)\(|http\.NewServeMux\(|huma\.(Register|AutoRegister|Get|Post|Put|Patch|Delete|Head|NewAPI|NewGroup)\b`)
	walkSources(t, []string{".go"}, func(rel, text string) {
		// A device may not import the server's doors; its local socket offers
		// status and what tightens, a list of its own (TRUST F36).
		if strings.HasPrefix(rel, "platform/httpd/") || rel == "device/agent/local.go" {
			return
		}
		if rel == "api/register.go" { // Register is the one way to huma: it has to be given an action
			text = strings.NewReplacer("huma.Register(a.huma,", "", "huma.NewAPI(huma.Config{", "").Replace(text)
		}
		if m := direct.FindString(text); m != "" {
			t.Errorf("%s calls %s…; routes are registered with an action through platform/httpd", rel, m)
		}
	})
}

func TestFilesStaySmall(t *testing.T) {
	walkSources(t, []string{".go"}, func(rel, text string) {
		if n := strings.Count(text, "\n"); n > 600 {
			t.Errorf("%s has %d lines, at most 600", rel, n)
		}
	})
}

package store

import "testing"

func TestPlaceholdersAreNumberedForSQLite(t *testing.T) {
	for in, want := range map[string]string{
		"SELECT 1":                                "SELECT 1",
		"SELECT $2, $1, $2":                       "SELECT ?2, ?1, ?2",
		"x=$10":                                   "x=?10",
		"SELECT '$1', $1":                         "SELECT '$1', ?1",
		"SELECT 'it''s $1', $1":                   "SELECT 'it''s $1', ?1",
		`SELECT "a$1", "q""$2", $1`:               `SELECT "a$1", "q""$2", ?1`,
		"SELECT `$1`, $1":                         "SELECT `$1`, ?1",
		"SELECT $1 -- not $2\n, $3":               "SELECT ?1 -- not $2\n, ?3",
		"SELECT /* $1 'x */ $1":                   "SELECT /* $1 'x */ ?1",
		"SELECT a$1, b$2c, $x, $":                 "SELECT a$1, b$2c, $x, $",
		"SELECT '$1":                              "SELECT '$1",
		"SELECT $1 /* open $2":                    "SELECT ?1 /* open $2",
		"SELECT $1::text":                         "SELECT ?1::text",
		"SELECT é$1, ($1)":                        "SELECT é$1, (?1)",
		"INSERT INTO t VALUES ($1,$2),($3,$4) --": "INSERT INTO t VALUES (?1,?2),(?3,?4) --",
	} {
		if got := rewrite(in); got != want {
			t.Errorf("rewrite(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzRewriteChangesOnlyPlaceholders(f *testing.F) {
	for _, s := range []string{"SELECT $1, '$2' -- $3", "/* ' */ \"$1\" $2", "`", "$1$2", "'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out := rewrite(in)
		if len(out) != len(in) {
			t.Fatalf("length changed: %q to %q", in, out)
		}
		for i := range len(in) {
			if in[i] != out[i] && (in[i] != '$' || out[i] != '?' || i+1 == len(in) || !isDigit(in[i+1])) {
				t.Fatalf("byte %d changed: %q to %q", i, in, out)
			}
		}
	})
}

func TestOldLibrariesAreRefused(t *testing.T) {
	for version, want := range map[string]bool{
		"3.51.2": false, "3.51.3": true, "3.53.0": true, "3.7.0": false, "3.100.0": true, "4.0.0": true, "3.51": false, "x": false, "3.51.x": false,
	} {
		if got := atLeast(version, minSQLite); got != want {
			t.Errorf("atLeast(%q) = %v", version, got)
		}
	}
}

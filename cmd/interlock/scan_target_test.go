package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestAFolderIsNamedByWhereItComesFrom: two repositories that a pipeline puts into
// folders of one name are two, and no password of an address is in a name.
func TestAFolderIsNamedByWhereItComesFrom(t *testing.T) {
	for address, want := range map[string]string{
		"git@github.com:acme/shop.git":            "github.com/acme/shop",
		"https://github.com/acme/shop":            "github.com/acme/shop",
		"https://bot:key@git.acme.test/shop.git/": "git.acme.test/shop",
		"ssh://git@git.acme.test:2222/a/shop.git": "git.acme.test:2222/a/shop",
		"/srv/git/shop.git":                       "srv/git/shop",
		"file:///srv/git/shop.git":                "srv/git/shop",
	} {
		dir := filepath.Join(t.TempDir(), "src")
		if err := os.MkdirAll(filepath.Join(dir, ".git"), 0o700); err != nil {
			t.Fatal(err)
		}
		config := "[core]\n\tbare = false\n[remote \"origin\"]\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n\turl = " + address + "\n[branch \"main\"]\n\tremote = origin\n"
		if err := os.WriteFile(filepath.Join(dir, ".git", "config"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := nameOf(dir); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
	if got := nameOf(filepath.Join(t.TempDir(), "shop")); got != "shop" {
		t.Errorf("a folder without a repository: %q", got)
	}
}

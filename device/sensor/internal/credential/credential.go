// Package credential reads the name and the password with which a driver asks
// another controller: a file of two lines that nobody but its owner can read.
// Neither stands in a configuration, a log or an event.
package credential

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// maxFile bounds the file.
const maxFile = 1024

// Credential is a name and its password.
type Credential struct {
	User     string
	Password core.Secret
}

// Check says what is wrong with the path of such a file. The file itself is read
// when it is used.
func Check(path string) error {
	if path == "" || !filepath.IsAbs(path) || sensor.Text(path) != path {
		return core.E(core.KindInvalid, "credential.Check", fmt.Sprintf("credentials %q; the absolute path of a file with a name and a password, a line each", path))
	}
	return nil
}

// Load reads a file.
func Load(path string) (c Credential, err error) {
	f, err := os.Open(path)
	if err != nil {
		return c, core.Wrap(core.KindUnavailable, "credential.Load", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return c, core.Wrap(core.KindUnavailable, "credential.Load", err)
	case !info.Mode().IsRegular():
		return c, core.E(core.KindInvalid, "credential.Load", path+" is no file")
	case info.Mode().Perm()&0o077 != 0:
		return c, core.E(core.KindDenied, "credential.Load", fmt.Sprintf("%s can be read by others (mode %04o)", path, info.Mode().Perm())).
			WithHint("chmod 600 " + path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return c, core.Wrap(core.KindUnavailable, "credential.Load", err)
	}
	return parse(path, text)
}

func parse(path string, text []byte) (Credential, error) {
	user, rest, found := bytes.Cut(text, []byte("\n"))
	password, more, _ := bytes.Cut(rest, []byte("\n"))
	if len(text) > maxFile || !found || len(user) == 0 || len(password) == 0 || len(bytes.TrimSpace(more)) > 0 || sensor.Text(string(user)) != string(user) {
		clear(text)
		return Credential{}, core.E(core.KindInvalid, "credential.Load", path+" must have a name and a password, a line each")
	}
	c := Credential{User: string(user), Password: core.NewSecret(bytes.Clone(bytes.TrimSuffix(password, []byte("\r"))))}
	clear(text)
	return c, nil
}

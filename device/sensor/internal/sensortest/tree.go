package sensortest

import (
	"os"
	"path/filepath"
	"strings"
)

// Write makes a file of the machine say something, with the line's end that the
// kernel gives. Paths are the machine's own: "sys/class/rtc".
func (r *Rig) Write(path, text string) {
	r.t.Helper()
	r.WriteRaw(path, text+"\n")
}

// WriteRaw is Write without the line's end.
func (r *Rig) WriteRaw(path, text string) {
	r.t.Helper()
	path = r.Env.Path(path)
	r.Must(os.MkdirAll(filepath.Dir(path), 0o750))
	r.Must(os.WriteFile(path, []byte(text), 0o600))
}

// WriteAll writes files below a folder.
func (r *Rig) WriteAll(dir string, files map[string]string) {
	r.t.Helper()
	for name, text := range files {
		r.Write(filepath.Join(dir, name), text)
	}
}

// Read returns what a file says.
func (r *Rig) Read(path string) string {
	r.t.Helper()
	b, err := os.ReadFile(r.Env.Path(path))
	r.Must(err)
	return strings.TrimSuffix(string(b), "\n")
}

// Folder makes a folder.
func (r *Rig) Folder(path string) {
	r.t.Helper()
	r.Must(os.MkdirAll(r.Env.Path(path), 0o750))
}

// Link makes a link from one place of the machine to another as sysfs has them:
// relative, and ending in the name of what it means.
func (r *Rig) Link(path, to string) {
	r.t.Helper()
	dir := filepath.Dir(r.Env.Path(path))
	r.Must(os.MkdirAll(dir, 0o750))
	up, err := filepath.Rel(dir, filepath.Dir(r.Env.Path(to)))
	r.Must(err)
	r.Must(os.Symlink(filepath.Join(up, filepath.Base(to)), r.Env.Path(path)))
}

// Remove takes away a file, a folder or a link.
func (r *Rig) Remove(path string) {
	r.t.Helper()
	path = r.Env.Path(path)
	_, err := os.Lstat(path) // what a test removes is there
	r.Must(err)
	r.Must(os.RemoveAll(path))
}

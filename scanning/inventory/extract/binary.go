package extract

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"strings"
)

// programs are the ends of names that programs and libraries have. A name with
// another end is no program, whatever its mode: on many file systems every file
// may be run.
var programs = map[string]bool{"": true, ".exe": true, ".dll": true, ".so": true, ".dylib": true, ".bin": true, ".elf": true, ".out": true, ".run": true, ".test": true}

// Program reports whether a file may be a program or a library, by its name and
// mode alone.
func Program(file string, d fs.DirEntry) bool {
	base := path.Base(file)
	ext := strings.ToLower(path.Ext(base))
	if !programs[ext] && !versioned(ext) || hashed(base) {
		return false
	}
	if ext == ".exe" || ext == ".dll" || ext == ".so" || ext == ".dylib" {
		return true
	}
	info, err := d.Info()
	return err == nil && info.Mode().Perm()&0o111 != 0
}

// hashed is a name in a store of content, such as a compiler's cache, of which
// there are millions: no program is run by such a name.
func hashed(base string) bool {
	const shortest = 32
	digits := len(base) - len(strings.TrimLeft(base, "0123456789abcdef"))
	return digits >= shortest && len(base)-digits <= 2
}

// versioned is an end such as that of python3.11 or tool-v1.2.
func versioned(ext string) bool {
	return len(ext) > 1 && strings.Trim(ext[1:], "0123456789") == ""
}

var magics = [][]byte{
	[]byte("\x7fELF"), []byte("MZ"),
	[]byte("\xfe\xed\xfa\xce"), []byte("\xfe\xed\xfa\xcf"), []byte("\xce\xfa\xed\xfe"), []byte("\xcf\xfa\xed\xfe"),
	[]byte("\xca\xfe\xba\xbe"), []byte("\xca\xfe\xba\xbf"),
}

// packedWithin is how far from its beginning a packed program says that it is.
const packedWithin = 4096

// Executable reports whether the bytes begin as a program does. A packed one is
// a fault: what it is made of cannot be seen.
func Executable(r io.ReaderAt) (bool, error) {
	head := make([]byte, packedWithin)
	n, err := r.ReadAt(head, 0)
	if err != nil && n < 4 {
		return false, nil
	}
	head = head[:n]
	for _, m := range magics {
		if bytes.HasPrefix(head, m) {
			if bytes.Contains(head, []byte("UPX!")) {
				return false, Unsupported("a program packed with UPX: what it is made of cannot be seen; unpack it with upx -d")
			}
			return true, nil
		}
	}
	return false, nil
}

package web

import (
	"errors"
	"io"
	"net/http"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet/seal"
)

// maxUploads is how many photos are taken in at once: each is held in memory
// while it is looked at.
const maxUploads = 4

// upload registers an effect whose form has a file. It is read whole, within a
// limit and never to a disk, and is otherwise as [Console.post].
func (c *Console) upload(pattern string, action core.Action, h handler) {
	c.routeWith(c.readUpload, "POST "+pattern, action, signedIn, func(w http.ResponseWriter, r *http.Request) error {
		defer func() {
			if r.MultipartForm != nil {
				_ = r.MultipartForm.RemoveAll()
			}
		}()
		return h(w, r)
	})
}

// readUpload parses a form with a file.
func (c *Console) readUpload(w http.ResponseWriter, r *http.Request) error {
	const most = seal.MaxPhoto + maxForm
	r.Body = http.MaxBytesReader(w, r.Body, most)
	select {
	case c.uploads <- struct{}{}:
		defer func() { <-c.uploads }()
	case <-r.Context().Done():
		return r.Context().Err()
	}
	err := r.ParseMultipartForm(most)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return core.E(core.KindTooLarge, "web.upload", "the photo is larger than 8 MiB").WithHint("take it again with a lower resolution")
	case errors.Is(err, http.ErrNotMultipart):
		return nil // a form without a file: its handler misses the file
	case err != nil:
		return core.Wrap(core.KindInvalid, "web.upload", err)
	}
	return nil
}

// uploaded returns the bytes of a form's one file.
func uploaded(r *http.Request, name string) ([]byte, error) {
	if r.MultipartForm == nil || len(r.MultipartForm.File[name]) != 1 {
		return nil, core.E(core.KindInvalid, "web.upload", "no photo was chosen").WithHint("go back and take one")
	}
	f, err := r.MultipartForm.File[name][0].Open()
	if err != nil {
		return nil, core.Wrap(core.KindInvalid, "web.upload", err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, seal.MaxPhoto+1))
	return b, core.Wrap(core.KindInvalid, "web.upload", err)
}

package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
)

// catFile is a "git cat-file --batch" that gives objects by their names.
type catFile struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	said complaint
	stop context.CancelFunc
}

func (r *repository) catFile(ctx context.Context) (*catFile, error) {
	ctx, stop := context.WithCancel(ctx)
	c := &catFile{cmd: r.command(ctx, "cat-file", "--batch"), stop: stop}
	c.cmd.Stderr = &c.said
	var err error
	if c.in, err = c.cmd.StdinPipe(); err == nil {
		var out io.Reader
		if out, err = c.cmd.StdoutPipe(); err == nil {
			c.out = bufio.NewReaderSize(out, 64<<10)
			err = c.cmd.Start()
		}
	}
	if err != nil {
		stop()
		return nil, c.said.explain(err)
	}
	return c, nil
}

// close ends the process. It may be called on nil.
func (c *catFile) close() {
	if c == nil {
		return
	}
	_ = c.in.Close()
	c.stop()
	_ = c.cmd.Wait()
}

// request asks for objects; answers come in the same order. It returns at once, so
// that git reads ahead while we look.
func (c *catFile) request(names []string) {
	var b bytes.Buffer
	for _, n := range names {
		b.WriteString(n)
		b.WriteByte('\n')
	}
	go func() { _, _ = c.in.Write(b.Bytes()) }()
}

// object is one answer. Its body must be read or dropped before the next one.
type object struct {
	kind    string
	size    int64
	missing bool
	body    io.Reader
}

var errPlumbing = errors.New("git answered something that is no object")

func (c *catFile) next() (object, error) {
	line, err := c.out.ReadSlice('\n')
	if err != nil {
		return object{}, c.said.explain(fmt.Errorf("git ended: %w", err))
	}
	return c.header(line)
}

// header reads "<name> <type> <size>" or "<name> missing".
func (c *catFile) header(line []byte) (object, error) {
	fields := bytes.Fields(line)
	if len(fields) == 2 && (string(fields[1]) == "missing" || string(fields[1]) == "ambiguous") {
		return object{missing: true}, nil
	}
	if len(fields) != 3 {
		return object{}, errPlumbing
	}
	size, err := strconv.ParseInt(string(fields[2]), 10, 64)
	if err != nil || size < 0 {
		return object{}, errPlumbing
	}
	return object{kind: string(fields[1]), size: size, body: io.LimitReader(c.out, size)}, nil
}

// done drops what is left of an object and the newline after it.
func (c *catFile) done(o object) error {
	if o.missing {
		return nil
	}
	if _, err := io.Copy(io.Discard, o.body); err != nil {
		return err
	}
	if b, err := c.out.ReadByte(); err != nil || b != '\n' {
		return errPlumbing
	}
	return nil
}

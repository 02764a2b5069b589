package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/interlock-security/interlock/platform/store"
)

// postgres is a server of our own, in a temporary folder.
type postgres struct {
	dir string
	cmd *exec.Cmd
	// lifeline is never written: when this process ends, in whatever way, the
	// shell sees the end of the file, stops the server and removes dir.
	lifeline *os.File
}

// supervise runs a server that keeps every promise: fsync and synchronous_commit
// are as PostgreSQL ships them.
const supervise = `
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c shared_buffers=64MB >"$2/log" 2>&1 &
pid=$!
read -r _
kill -QUIT $pid
wait $pid
rm -rf "$2"
`

// startPostgres returns notMeasured where there is none of version 15 or later,
// or where it can't be run.
func startPostgres() (*postgres, error) {
	bin, err := findPostgres()
	if err != nil {
		return nil, err
	}
	cred, err := postgresAccount()
	if err != nil {
		return nil, err
	}
	// Not in the trial's folder: the server's account could not enter it.
	dir, err := os.MkdirTemp(os.Getenv("BENCH_DIR"), "interlock-bench-pg-")
	if err != nil {
		return nil, err
	}
	p := &postgres{dir: dir}
	if err := p.launch(bin, cred); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return p, nil
}

func (p *postgres) launch(bin string, cred *syscall.Credential) error {
	if cred != nil {
		if err := os.Chown(p.dir, int(cred.Uid), int(cred.Gid)); err != nil {
			return err
		}
	}
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", filepath.Join(p.dir, "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions")
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	initdb.Dir = p.dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = read.Close() }() // the shell has its own
	p.cmd = exec.Command("/bin/sh", "-c", supervise, "sh", bin, p.dir)
	// Own process group: a ^C reaches us alone, and our end the shell.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred, Setpgid: true}
	p.cmd.Dir, p.cmd.Stdin = p.dir, read
	if err := p.cmd.Start(); err != nil {
		return errors.Join(err, write.Close())
	}
	p.lifeline = write
	return nil
}

func (p *postgres) config() store.Config {
	return store.Config{Driver: "postgres", DSN: fmt.Sprintf("host=%s user=postgres dbname=postgres sslmode=disable", p.dir)}
}

// ready asks until the server answers.
func (p *postgres) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		db, err := store.Open(ctx, p.config())
		if err == nil {
			return db.Close()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(p.dir, "log"))
			return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, log)
		}
	}
}

// stop ends the server and waits until its folder is gone. The server's own exit
// code says nothing: it was told to quit at once.
func (p *postgres) stop() error {
	err := p.lifeline.Close()
	_ = p.cmd.Wait()
	// The shell may remove what is in dir and not dir itself, which stands
	// in a folder of ours.
	return errors.Join(err, os.RemoveAll(p.dir))
}

// findPostgres looks where Debian puts it, newest first, then in PATH.
func findPostgres() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	best, newest := "", 14
	for _, path := range found {
		bin := filepath.Dir(path)
		version, err := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
		if err == nil && version > newest {
			best, newest = bin, version
		}
	}
	if best != "" {
		return best, nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", notMeasured{"PostgreSQL 15 or later is not installed"}
}

// postgresAccount is who runs the server, which refuses to run as root; nil
// means ourselves.
func postgresAccount() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, notMeasured{"PostgreSQL does not run as root, and there is no account postgres"}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

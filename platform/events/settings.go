package events

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"time"
)

// Settings are the configuration's section `events`.
type Settings struct {
	// Off does without an event store: nothing can be searched for, all else
	// works.
	Off bool `yaml:"off"`
	// MemoryMB, DiskMB and RetentionDays are the budgets of the process that
	// serve starts; FreeMB is how much of the disk it leaves to others.
	MemoryMB      int `yaml:"memory_mb"`
	DiskMB        int `yaml:"disk_mb"`
	FreeMB        int `yaml:"free_mb"`
	RetentionDays int `yaml:"retention_days"`
	// Insert and Select are the addresses of a VictoriaLogs cluster to use
	// instead: "https://insert.example:9428".
	Insert string `yaml:"insert"`
	Select string `yaml:"select"`
	User   string `yaml:"user"`
	// PasswordFile holds the cluster's password on its first line.
	PasswordFile string `yaml:"password_file"`
	// FlushSeconds is the cluster's -inmemoryDataFlushInterval.
	FlushSeconds int `yaml:"flush_seconds"`
}

// DefaultSettings are those of a first run: small.
func DefaultSettings() Settings {
	return Settings{MemoryMB: 64, DiskMB: 10 << 10, FreeMB: 1 << 10, RetentionDays: 90, FlushSeconds: 5}
}

// Cluster reports whether somebody else runs the store.
func (s *Settings) Cluster() bool { return s.Insert != "" || s.Select != "" }

// Flush is how long the store may hold rows in memory alone.
func (s *Settings) Flush() time.Duration {
	if s.Cluster() {
		return time.Duration(s.FlushSeconds) * time.Second
	}
	return FlushInterval
}

// Start is what the child is told, but for the password.
func (s *Settings) Start(dir string) Start {
	return Start{
		Dir: dir, Memory: int64(s.MemoryMB) << 20, Disk: int64(s.DiskMB) << 20, Free: int64(s.FreeMB) << 20,
		Retention: time.Duration(s.RetentionDays) * 24 * time.Hour, Flush: FlushInterval,
	}
}

// Validate says what is wrong and where.
func (s *Settings) Validate() error {
	const most = 64 << 20 // MB or days: beyond it is a slip of the finger
	for _, f := range []struct {
		name         string
		value, least int
	}{
		{"memory_mb", s.MemoryMB, minMemory >> 20},
		{"disk_mb", s.DiskMB, minDisk >> 20},
		{"free_mb", s.FreeMB, 0},
		{"retention_days", s.RetentionDays, 1},
		{"flush_seconds", s.FlushSeconds, 1},
	} {
		if f.value < f.least || f.value > most {
			return fmt.Errorf("events.%s: %d; it lies between %d and %d", f.name, f.value, f.least, most)
		}
	}
	if !s.Cluster() {
		if s.User != "" || s.PasswordFile != "" {
			return fmt.Errorf("events.user and events.password_file are a cluster's; name it with events.insert and events.select")
		}
		return nil
	}
	return s.validateCluster()
}

func (s *Settings) validateCluster() error {
	for _, end := range [][2]string{{"insert", s.Insert}, {"select", s.Select}} {
		name, address := end[0], end[1]
		u, err := url.Parse(address)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
			return fmt.Errorf("events.%s: needs the address of a VictoriaLogs cluster, like https://logs.example:9428, with the password in a file", name)
		case u.Scheme == "http" && !local(u.Hostname()):
			return fmt.Errorf("events.%s: events and the password would cross the network in the clear; use https", name)
		}
	}
	if (s.User == "") != (s.PasswordFile == "") || s.PasswordFile != "" && !filepath.IsAbs(s.PasswordFile) {
		return fmt.Errorf("events: a user needs a password_file with an absolute path, and the other way round")
	}
	return nil
}

// local reports whether a host is this machine.
func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/interlock-security/interlock/siem/sigma"
)

// dataFile opens a file of the data beside the project.
func dataFile(name string) (io.Reader, error) {
	dir := os.Getenv("INTERLOCK_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	b, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, notMeasured{err.Error()}
	}
	if err != nil {
		return nil, err
	}
	return gzip.NewReader(bytes.NewReader(b))
}

// sigmaRules reads SigmaHQ's rules.
func sigmaRules() ([]*sigma.Rule, error) {
	r, err := dataFile("sigma/sigma-rules.tar.gz")
	if err != nil {
		return nil, err
	}
	var rules []*sigma.Rule
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return rules, nil
		}
		if err != nil {
			return nil, err
		}
		if !strings.HasSuffix(h.Name, ".yml") {
			continue
		}
		text, err := io.ReadAll(tr)
		if err != nil {
			return nil, err
		}
		got, err := sigma.Parse(h.Name, text)
		if err != nil {
			return nil, err
		}
		rules = append(rules, got...)
	}
}

// salted are events of which no two passes see the same command lines, ids,
// hashes, times and addresses.
type salted struct {
	events [][]byte
	digits [][]int32 // per event, where a digit can become another
	rand   *rand.Rand
}

func newSalted(events [][]byte) *salted {
	s := &salted{events: events, rand: rand.New(rand.NewPCG(20261122, 5))}
	for _, e := range events {
		s.digits = append(s.digits, saltable(e))
	}
	return s
}

// various are fields whose values hardly come twice.
var various = regexp.MustCompile(`(?i)"([^"]*(?:guid|hash|time|stamp|command|script|calltrace|message|details|processid|threadid|pid|record|logonid|handleid|port|addr|ip|cursor|payload|contextinfo|bootid|sid)[^"]*)": ?("(?:[^"\\]|\\.)*"|-?[0-9]+)`)

// saltable lists the digits of such values; of a number all but the first.
func saltable(event []byte) []int32 {
	var out []int32
	for _, at := range various.FindAllSubmatchIndex(event, -1) {
		from, to := at[4]+1, at[5]
		for i := from; i < to; i++ {
			if c := event[i]; c == '\\' {
				i++
				if event[i] == 'u' {
					i += 4
				}
			} else if '0' <= c && c <= '9' {
				out = append(out, int32(i))
			}
		}
	}
	return out
}

// salt gives the digits other values.
func (s *salted) salt() {
	for i, event := range s.events {
		r := s.rand.Uint64()
		for _, at := range s.digits[i] {
			if r < 10 {
				r = s.rand.Uint64()
			}
			event[at] = '0' + byte(r%10)
			r /= 10
		}
	}
}

// windowsEvents are ten thousand events of Sysmon, Security, PowerShell and
// others, as they were recorded.
func windowsEvents() (*salted, error) {
	r, err := dataFile("events/windows-10k.ndjson.gz")
	if err != nil {
		return nil, err
	}
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 4<<20)
	var events [][]byte
	for sc.Scan() {
		events = append(events, bytes.Clone(sc.Bytes()))
	}
	return newSalted(events), sc.Err()
}

// syslogEvents are a real sshd's lines in the form in which journald tells them.
func syslogEvents() (*salted, error) {
	lines := strings.Split(strings.TrimSpace(recorded), "\n")
	events := make([][]byte, 10000)
	for i := range events {
		_, message, _ := strings.Cut(lines[i%len(lines)], "]: ")
		events[i] = fmt.Appendf(nil, `{"__CURSOR":"s=0639e8;i=%d","__REALTIME_TIMESTAMP":"1764%012d","_BOOT_ID":"d4c1%028d","_TRANSPORT":"syslog","PRIORITY":"6",`+
			`"SYSLOG_FACILITY":"10","SYSLOG_IDENTIFIER":"sshd","SYSLOG_PID":"%d","_PID":"%d","_UID":"0","_GID":"0","_COMM":"sshd","_EXE":"/usr/sbin/sshd",`+
			`"_CMDLINE":"sshd: root [priv]","_SYSTEMD_UNIT":"ssh.service","_HOSTNAME":"web-%02d","_MACHINE_ID":"8a%030d","MESSAGE":%q}`,
			i, i, i, 1000+i, 1000+i, i%40, i%40, message)
	}
	return newSalted(events), nil
}

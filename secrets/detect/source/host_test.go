package source

import (
	"context"
	"strings"
	"testing"
)

// TestRunning reads a machine as its kernel and its services show it: what is cut off or
// leads elsewhere is told.
func TestRunning(t *testing.T) {
	root := t.TempDir()
	put := func(name, text string) { write(t, root, name, text) }
	put("proc/7/comm", "server\n")
	put("proc/7/environ", "PATH=/bin\x00KEY="+secret("environ")+"\x00")
	put("proc/7/cmdline", "server\x00--token\x00"+secret("argument")+"\x00")
	put("proc/8/comm", "large\n")
	put("proc/8/environ", strings.Repeat("A=b\x00", largestEnvironment/4+1))
	put("proc/8/cmdline", "large\x00")
	put("proc/9/comm", "gone\n") // its other files are gone already
	put("etc/systemd/system.conf", "DefaultEnvironment=K="+secret("manager")+"\n")
	put("etc/anacrontab", "1 5 job K="+secret("job")+"\n")
	got := collect(t, Config{}, func(c Config, s Sink) error { return Running(context.Background(), root, c, s) })
	got.wantPlaces(t, "/proc/server/environ:2", "/proc/server/cmdline:1", "/etc/anacrontab:1", "/etc/systemd/system.conf:1")
	got.wantGap(t, "/proc/large/environ", TooLarge)
	if len(got.gaps) != 1 || got.Processes.Load() != 2 {
		t.Errorf("gaps %v, %d processes", got.gaps, got.Processes.Load())
	}
}

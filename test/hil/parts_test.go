package hil

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/test/hil/control"
)

// identified: what the machine is made of stands in the device's inventory with
// the serial numbers that QEMU gave to its parts.
func (l *loop) identified(ctx context.Context) (string, error) {
	serials := []string{"MACHINE-0001", "CASE-0001", "DIMM-0001", "CASEDISK1", "DATADISK1"}
	err := await(ctx, func() error {
		list, err := l.s.events(ctx)
		if err != nil {
			return err
		}
		var told string
		for _, e := range list {
			if e.Type == "inventory" && sensorOf(e) == "parts" {
				told += string(e.Fields)
			}
		}
		for _, s := range serials {
			if !strings.Contains(told, s) {
				return fmt.Errorf("no part has the serial %s among: %.2000s", s, told)
			}
		}
		return nil
	})
	return fmt.Sprintf("%s, in an inventory that the device signed", strings.Join(serials, ", ")), err
}

// finding is what a check of parts looks at.
type finding struct {
	Component string `json:"component"`
	Place     string `json:"place"`
	From      string `json:"from"`
	To        string `json:"to"`
	Name      string `json:"name"`
}

// found waits until a sensor tells of just one thing, and reads it.
func (l *loop) found(ctx context.Context, sensor, kind string) (finding, error) {
	list, err := l.told(ctx, sensor, kind)
	var f finding
	if err == nil {
		err = decode(string(list[0].Fields), &f)
	}
	return f, err
}

// card puts a card with a serial port into a slot of the running machine, and
// takes it out again.
func (l *loop) card(ctx context.Context) (string, error) {
	var added finding
	err := inTurn(
		func() error {
			return l.m.monitor(ctx, "device_add", map[string]any{"driver": "pci-serial", "id": "implant", "bus": "slot1"})
		},
		func() (err error) { added, err = l.found(ctx, "parts", "component_added"); return err },
		func() error { _, err := l.told(ctx, "ports", "interface_attached"); return err },
		func() error { return l.m.monitor(ctx, "device_del", map[string]any{"id": "implant"}) },
		func() error { _, err := l.told(ctx, "ports", "interface_attached", "interface_removed"); return err },
	)
	if err == nil && added.Component != "pci" {
		err = fmt.Errorf("%+v", added)
	}
	return fmt.Sprintf("component_added: %s at %s, and its port; taken out: the port is gone", added.To, added.Place), err
}

// memory puts a memory module into the running machine.
func (l *loop) memory(ctx context.Context) (string, error) {
	var f finding
	err := inTurn(
		func() error {
			return l.m.monitor(ctx, "object-add", map[string]any{"qom-type": "memory-backend-ram", "id": "module1", "size": 128 << 20})
		},
		func() error {
			return l.m.monitor(ctx, "device_add", map[string]any{"driver": "pc-dimm", "id": "dimm1", "memdev": "module1"})
		},
		func() (err error) { f, err = l.found(ctx, "parts", "component_added"); return err },
	)
	if err == nil && f.Component != "memory" {
		err = fmt.Errorf("%+v", f)
	}
	return fmt.Sprintf("component_added: %s, from %s to %s", f.Component, f.From, f.To), err
}

// sdCard puts a card into the SD slot and takes it out.
func (l *loop) sdCard(ctx context.Context) (string, error) {
	path := l.m.path("card.img")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		return "", err
	}
	if err := os.Truncate(path, 16<<20); err != nil {
		return "", err
	}
	err := inTurn(
		func() error {
			return l.m.monitor(ctx, "blockdev-change-medium", map[string]any{"id": "sdslot", "filename": path, "format": "raw"})
		},
		func() error { _, err := l.told(ctx, "cards", "card_inserted"); return err },
		func() error { return l.m.monitor(ctx, "eject", map[string]any{"id": "sdslot"}) },
		func() error { _, err := l.told(ctx, "cards", "card_inserted", "card_removed"); return err },
	)
	return "card_inserted, card_removed, each once", err
}

// stick plugs a USB stick in: it gets no driver, so there is nothing to mount.
func (l *loop) stick(ctx context.Context) (string, error) {
	before, err := l.list(ctx, "/sys/class/block/*")
	if err != nil {
		return "", err
	}
	var list []core.Event
	err = inTurn(
		func() error {
			return l.m.monitor(ctx, "blockdev-add", map[string]any{"driver": "null-co", "node-name": "stick", "size": 8 << 20, "read-zeroes": true})
		},
		func() error {
			return l.m.monitor(ctx, "device_add", map[string]any{"driver": "usb-storage", "id": "stick", "bus": "usb0.0", "port": "1", "drive": "stick", "serial": "STICK-1"})
		},
		func() (err error) { list, err = l.awaitEvents(ctx, "usb_attached"); return err },
	)
	if err != nil {
		return "", err
	}
	f, err := fieldsOf(list[0])
	if err != nil || f.Action != "blocked" || f.Serial != "STICK-1" {
		return "", fmt.Errorf("%s: %w", list[0].Fields, err)
	}
	after, err := l.list(ctx, "/sys/class/block/*")
	if err == nil && !slices.Equal(before, after) {
		err = fmt.Errorf("block devices were %v and are %v", before, after)
	}
	return fmt.Sprintf("event %d, %s, serial %s, blocked: no block device", list[0].Sequence, list[0].Severity, f.Serial), err
}

// mains pulls the plug of the power supply that the kernel's own tests have:
// another source feeds the device from then on.
func (l *loop) mains(ctx context.Context) (string, error) {
	set := func(state string) error {
		return l.m.do(ctx, "file.write", control.File{Path: "/sys/module/test_power/parameters/ac_online", Text: state}, nil)
	}
	var list []core.Event
	err := inTurn(
		func() error { return set("off") },
		func() (err error) { list, err = l.told(ctx, "power", "source_failover"); return err },
		func() error { return set("on") },
		func() error { return l.quiet(ctx, "power") },
	)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("source_failover, event %d, %s; the plug is back and so is the source", list[0].Sequence, list[0].Severity), nil
}

// swapped: while no agent ran the data disk was replaced by one of another serial
// number. The agent that starts then holds the machine against what it remembers.
func (l *loop) swapped(ctx context.Context) (string, error) {
	l.seen = l.unwatched
	list, err := l.awaitEvents(ctx, "component_swapped")
	if err != nil {
		return "", err
	}
	var f finding
	if err := decode(string(list[0].Fields), &f); err != nil {
		return "", err
	}
	if sensorOf(list[0]) != "parts" || !strings.Contains(f.From, "DATADISK1") || !strings.Contains(f.To, "DATADISK2") {
		return "", fmt.Errorf("%s", list[0].Fields)
	}
	return fmt.Sprintf("event %d, %s, at %s: DATADISK1 is DATADISK2 now", list[0].Sequence, list[0].Severity, f.Place), nil
}

// swapDisk replaces the data disk.
func (l *loop) swapDisk(ctx context.Context) error {
	return inTurn(
		func() error { return l.m.monitor(ctx, "device_del", map[string]any{"id": "disk1"}) },
		func() error { return l.m.awaitEvent(ctx, "DEVICE_DELETED disk1") },
		func() error {
			return l.m.monitor(ctx, "device_add", map[string]any{"driver": "scsi-hd", "id": "disk2", "bus": "scsi0.0", "drive": "data", "scsi-id": 1, "serial": "DATADISK2"})
		},
	)
}

// pullTPM ends the software TPM under the running machine, as somebody does who
// pulls it from its header. Its driver looks every half a minute; what else is
// checked meanwhile does not need it.
func (l *loop) pullTPM(context.Context) (string, error) {
	l.tpmPulled = l.seen
	if err := l.m.tpm.Process.Kill(); err != nil {
		return "", err
	}
	return "swtpm was ended; /dev/tpmrm0 stays", nil
}

// missTPM: the agent has noticed.
func (l *loop) missTPM(ctx context.Context) (string, error) {
	l.seen = l.tpmPulled
	list, err := l.awaitOf(ctx, "tpm", "sensor_lost")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("event %d, %s, %s: %s", list[0].Sequence, list[0].Type, list[0].Severity, whyOf(list[0])), nil
}

package ipmi

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// The commands that are used. All of them read.
const (
	netChassis = 0x00
	netSensor  = 0x04
	netApp     = 0x06
	netStorage = 0x0a

	commandReading      = 0x2d // sensor
	commandDeviceID     = 0x01 // app
	commandCloseSession = 0x3c
	commandReserveSDR   = 0x22 // storage
	commandGetSDR       = 0x23
	commandLogInfo      = 0x40
	commandLogEntry     = 0x43
)

// sensorIntrusion is the sensor type of physical security, and discrete the kind
// of event whose states the type lists.
const (
	sensorIntrusion = 0x05
	sensorSpecific  = 0x6f
)

// intrusions are the states of a sensor of physical security.
var intrusions = []string{"chassis", "drive bay", "card area", "processor area", "network cable pulled", "docking", "fan area"}

// deviceID is what a controller says that it is.
type deviceID struct {
	Firmware     string
	Manufacturer uint32
	Product      uint16
}

func askDeviceID(ctx context.Context, c controller) (deviceID, error) {
	b, err := c.ask(ctx, netApp, commandDeviceID)
	if err != nil {
		return deviceID{}, err
	}
	if len(b) < 11 {
		return deviceID{}, short("Get Device ID", b)
	}
	return deviceID{
		Firmware:     fmt.Sprintf("%d.%02x", b[2]&0x7f, b[3]),
		Manufacturer: uint32(b[6]) | uint32(b[7])<<8 | uint32(b[8]&0x0f)<<16,
		Product:      binary.LittleEndian.Uint16(b[9:]),
	}, nil
}

func short(command string, b []byte) error {
	return core.E(core.KindDamaged, "ipmi.Run", fmt.Sprintf("%s: %d bytes are too few", command, len(b)))
}

// reading is what a discrete sensor reads.
type reading struct {
	off    bool // it does not look, or has not yet
	states uint16
}

func askReading(ctx context.Context, c controller, number byte) (reading, error) {
	b, err := c.ask(ctx, netSensor, commandReading, number)
	if err != nil {
		return reading{}, err
	}
	if len(b) < 3 {
		return reading{}, short("Get Sensor Reading", b)
	}
	r := reading{off: b[1]&0x40 == 0 || b[1]&0x20 != 0, states: uint16(b[2])}
	if len(b) > 3 {
		r.states |= uint16(b[3]&0x7f) << 8
	}
	return r, nil
}

// intruded are the intrusions that a sensor's states tell of.
func intruded(states uint16) []string {
	var all []string
	for i, name := range intrusions {
		if states&(1<<i) != 0 {
			all = append(all, name)
		}
	}
	return all
}

// logInfo is the state of the controller's event log.
type logInfo struct {
	entries       uint16
	added, erased uint32 // when, by the controller's clock
}

func askLog(ctx context.Context, c controller) (logInfo, error) {
	b, err := c.ask(ctx, netStorage, commandLogInfo)
	if err != nil {
		return logInfo{}, err
	}
	if len(b) < 14 {
		return logInfo{}, short("Get SEL Info", b)
	}
	return logInfo{binary.LittleEndian.Uint16(b[1:]), binary.LittleEndian.Uint32(b[5:]), binary.LittleEndian.Uint32(b[9:])}, nil
}

// record is an entry of the event log.
type record struct {
	id       uint16
	kind     byte
	at       time.Time
	sensor   byte
	number   byte
	asserted bool
	event    byte // the kind of event, and its state below
	state    byte
	raw      []byte
}

const (
	firstRecord = 0x0000
	lastRecord  = 0xffff
	// standardRecord is the type of records that have the fields above.
	standardRecord = 0x02
)

// askRecord reads an entry, and which one comes after it.
func askRecord(ctx context.Context, c controller, id uint16) (record, uint16, error) {
	b, err := c.ask(ctx, netStorage, commandLogEntry, 0, 0, byte(id), byte(id>>8), 0, 0xff)
	if err != nil {
		return record{}, 0, err
	}
	if len(b) < 18 {
		return record{}, 0, short("Get SEL Entry", b)
	}
	return parseRecord(b[2:18]), binary.LittleEndian.Uint16(b), nil
}

// parseRecord reads the 16 bytes of an entry.
func parseRecord(b []byte) record {
	r := record{id: binary.LittleEndian.Uint16(b), kind: b[2], raw: bytes.Clone(b)}
	if r.kind == standardRecord {
		r.at = time.Unix(int64(binary.LittleEndian.Uint32(b[3:])), 0).UTC()
		r.sensor, r.number, r.asserted, r.event, r.state = b[10], b[11], b[12]&0x80 == 0, b[12]&0x7f, b[13]&0x0f
	}
	return r
}

// intrusion says whether an entry tells of an opening.
func (r record) intrusion() bool {
	return r.kind == standardRecord && r.sensor == sensorIntrusion && r.asserted && (r.event == sensorSpecific || r.event == 0x03 && r.state == 1)
}

func (r record) what() string {
	if r.event == sensorSpecific && int(r.state) < len(intrusions) {
		return intrusions[r.state]
	}
	return intrusions[0]
}

// described is a sensor as the controller's repository describes it.
type described struct {
	number, kind byte
	name         string
}

const (
	recordFull    = 0x01
	recordCompact = 0x02
	sdrHeader     = 5
	// sdrChunk is how much of a record is asked for at once: some controllers have
	// small buffers.
	sdrChunk = 16
	// maxSDRs bounds how many records are read.
	maxSDRs = 512
)

// askSensors reads the repository for the sensors of a kind, on the controller
// itself.
func askSensors(ctx context.Context, c controller, kind byte) ([]described, error) {
	var all []described
	next := uint16(firstRecord)
	for range maxSDRs {
		body, after, err := askSDR(ctx, c, next)
		if err != nil {
			return nil, err
		}
		if d, ok := parseSDR(body); ok && d.kind == kind {
			all = append(all, d)
		}
		if after == lastRecord || after == next {
			return all, nil
		}
		next = after
	}
	return all, nil
}

// askSDR reads one record in pieces.
func askSDR(ctx context.Context, c controller, id uint16) (body []byte, after uint16, err error) {
	reservation, err := c.ask(ctx, netStorage, commandReserveSDR)
	if err != nil {
		return nil, 0, err
	}
	if len(reservation) < 2 {
		return nil, 0, short("Reserve SDR Repository", reservation)
	}
	piece := func(from, size int) ([]byte, error) {
		b, err := c.ask(ctx, netStorage, commandGetSDR, reservation[0], reservation[1], byte(id), byte(id>>8), byte(from), byte(size))
		if err == nil && len(b) < 2+size {
			err = short("Get SDR", b)
		}
		return b, err
	}
	b, err := piece(0, sdrHeader)
	if err != nil {
		return nil, 0, err
	}
	after, body = binary.LittleEndian.Uint16(b), bytes.Clone(b[2:2+sdrHeader])
	for size := sdrHeader + int(body[4]); len(body) < size && len(body) < 0xff; {
		want := min(sdrChunk, size-len(body), 0xff-len(body))
		b, err := piece(len(body), want)
		if err != nil {
			return nil, 0, err
		}
		body = append(body, b[2:2+want]...)
	}
	return body, after, nil
}

// parseSDR reads a sensor's record. Sensors of other controllers behind this one
// are theirs to tell.
func parseSDR(b []byte) (described, bool) {
	if len(b) < 14 || b[3] != recordFull && b[3] != recordCompact || b[5] != controllerAddr || b[6]&0x03 != 0 {
		return described{}, false
	}
	d := described{number: b[7], kind: b[12]}
	at := 47
	if b[3] == recordCompact {
		at = 31
	}
	if at < len(b) && b[at]>>6 == 3 { // 8-bit text
		d.name = sensor.Text(string(b[at+1 : min(at+1+int(b[at]&0x1f), len(b))]))
	}
	return d, true
}

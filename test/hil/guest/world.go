//go:build linux

package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/interlock-security/interlock/test/hil/control"
)

// world is what the chips feel. A real quantity never stands quite still, so
// each has its noise; one that was frozen has none.
type world struct {
	wires  wires
	mu     sync.Mutex
	now    map[string]quantity
	shake  control.Shake
	moving bool
}

// quantity is one thing that a chip measures.
type quantity struct {
	value, noise float64
	put          func(w *wires, value float64) error
}

func newWorld() *world {
	return &world{now: map[string]quantity{
		"lid.volts":  {1, 0.004, putADC},
		"imu.x":      {0, 0.003, putIMU(0)},
		"imu.y":      {0, 0.003, putIMU(1)},
		"imu.z":      {1, 0.003, putIMU(2)},
		"board.3v3":  {3.3, 0.04, putVolts(0x22, 3.3)},
		"board.5v":   {5, 0.06, putVolts(0x23, 5)},
		"board.12v":  {12, 0.15, putVolts(0x24, 12)},
		"board.fan":  {3000, 60, putFan},
		"board.temp": {35, 0.6, putBoardTemperature},
		"room.temp":  {22, 0.02, putRoomTemperature},
		"room.press": {415148, 8, putRaw24(0xf7)},
		"room.humid": {26000, 20, putHumidity},
		"room.light": {2, 1, putLight},
		"bmc150.x":   {0, 0.003, putBMC150},
		"kxcjk.x":    {0, 0.003, putKXCJK},
	}}
}

// set changes quantities, and how much they move by themselves.
func (w *world) set(s control.Quantities) (any, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, value := range s.Values {
		q, ok := w.now[name]
		if !ok {
			return nil, fmt.Errorf("the world has no %q", name)
		}
		q.value = value
		if err := q.put(&w.wires, value); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		w.now[name] = q
	}
	for name, noise := range s.Noise {
		q, ok := w.now[name]
		if !ok {
			return nil, fmt.Errorf("the world has no %q", name)
		}
		q.noise = noise
		w.now[name] = q
	}
	return nil, nil
}

// start lets the world go on, once.
func (w *world) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.moving {
		w.moving = true
		go w.move()
	}
}

// jolt shakes the accelerometer until told otherwise.
func (w *world) jolt(s control.Shake) (any, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shake = s
	return nil, nil
}

// move lets the world go on. A chip that isn't there takes no value, which is no
// fault of the world's.
func (w *world) move() {
	for last := time.Duration(0); ; {
		now := monotonic()
		w.mu.Lock()
		shake := w.shake
		if now-last >= tick {
			last = now
			for name, q := range w.now {
				if q.noise > 0 && (shake.Hz == 0 || name != "imu.z") {
					_ = q.put(&w.wires, q.value+q.noise*(2*rand.Float64()-1))
				}
			}
		}
		if shake.Hz > 0 {
			z := w.now["imu.z"]
			_ = z.put(&w.wires, z.value+shake.G*math.Sin(2*math.Pi*shake.Hz*now.Seconds()))
		}
		w.mu.Unlock()
		pause := tick
		if shake.Hz > 0 {
			pause = 4 * time.Millisecond
		}
		time.Sleep(pause)
	}
}

// putADC: ads1015 gives 12 bits, left in the word, high byte first; one step is
// a millivolt in the range that it starts with.
func putADC(w *wires, volts float64) error {
	raw := uint16(int16(math.Round(min(max(volts, 0), 2.047)*1000)) << 4)
	return w.writeWord(0x4a, 0, raw>>8|raw<<8)
}

// putIMU: mma8452 gives 12 bits of ±2 g, high byte first, an axis after another.
func putIMU(axis byte) func(*wires, float64) error {
	return func(w *wires, g float64) error {
		raw := uint16(int16(math.Round(min(max(g, -2), 1.999)*1024)) << 4)
		if err := w.write(0x1c, 1+2*axis, byte(raw>>8)); err != nil {
			return err
		}
		return w.write(0x1c, 2+2*axis, byte(raw))
	}
}

// putBMC150: 12 bits of ±4 g, low byte first.
func putBMC150(w *wires, g float64) error {
	raw := uint16(int16(math.Round(g*512)) << 4)
	if err := w.write(0x18, 2, byte(raw)); err != nil {
		return err
	}
	return w.write(0x18, 3, byte(raw>>8))
}

// putKXCJK: as above, read as a word.
func putKXCJK(w *wires, g float64) error {
	return w.writeWord(0x0e, 6, uint16(int16(math.Round(g*512))<<4))
}

// putVolts: adm9240 has 192 steps to the nominal voltage.
func putVolts(register byte, nominal float64) func(*wires, float64) error {
	return func(w *wires, volts float64) error {
		return w.write(0x2c, register, byte(math.Round(min(max(volts/nominal*192, 0), 255))))
	}
}

// putFan: adm9240 counts 22.5 kHz during two turns, divided as its driver has it.
// A fan that stands gives the largest count.
func putFan(w *wires, rpm float64) error {
	divisors, err := w.read(0x2c, 0x47)
	if err != nil {
		return err
	}
	count := 255.0
	if rpm > 0 {
		count = min(1350000/(rpm*float64(int(1)<<(divisors>>4&3))), 255)
	}
	return w.write(0x2c, 0x28, byte(count))
}

// putBoardTemperature: adm9240 gives whole degrees, and half a one beside.
func putBoardTemperature(w *wires, celsius float64) error {
	halves := int(math.Round(celsius * 2))
	if err := w.write(0x2c, 0x4b, byte(halves&1)<<7); err != nil {
		return err
	}
	return w.write(0x2c, 0x27, byte(int8(halves>>1)))
}

// putRoomTemperature: bme280, with its data sheet's example as the fixed point;
// near it the compensation is as good as straight.
func putRoomTemperature(w *wires, celsius float64) error {
	return putRaw24(0xfa)(w, 519888+(celsius-25.08)/3.1515e-4)
}

// putRaw24 writes a value of 20 bits as bme280 keeps it.
func putRaw24(register byte) func(*wires, float64) error {
	return func(w *wires, value float64) error {
		raw := uint32(value) << 4
		for i, b := range []byte{byte(raw >> 16), byte(raw >> 8), byte(raw)} {
			if err := w.write(0x76, register+byte(i), b); err != nil {
				return err
			}
		}
		return nil
	}
}

func putHumidity(w *wires, value float64) error {
	if err := w.write(0x76, 0xfd, byte(uint16(value)>>8)); err != nil {
		return err
	}
	return w.write(0x76, 0xfe, byte(uint16(value)))
}

// putLight: tsl2560 gives counts of two diodes, as words.
func putLight(w *wires, counts float64) error {
	if err := w.writeWord(0x39, 0x8c, uint16(counts*4)); err != nil {
		return err
	}
	return w.writeWord(0x39, 0x8e, uint16(counts))
}

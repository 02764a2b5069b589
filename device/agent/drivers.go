package agent

import (
	"github.com/interlock-security/interlock/device/monitor/access"
	"github.com/interlock-security/interlock/device/monitor/anomaly"
	"github.com/interlock-security/interlock/device/monitor/component"
	"github.com/interlock-security/interlock/device/monitor/confirm"
	"github.com/interlock-security/interlock/device/monitor/enclosure"
	"github.com/interlock-security/interlock/device/monitor/environment"
	"github.com/interlock-security/interlock/device/monitor/geofence"
	"github.com/interlock-security/interlock/device/monitor/known"
	"github.com/interlock-security/interlock/device/monitor/loop"
	"github.com/interlock-security/interlock/device/monitor/motion"
	"github.com/interlock-security/interlock/device/monitor/orientation"
	judgepower "github.com/interlock-security/interlock/device/monitor/power"
	"github.com/interlock-security/interlock/device/monitor/rapid"
	"github.com/interlock-security/interlock/device/monitor/vibration"
	"github.com/interlock-security/interlock/device/sensor/carrier"
	"github.com/interlock-security/interlock/device/sensor/clock"
	"github.com/interlock-security/interlock/device/sensor/disk"
	"github.com/interlock-security/interlock/device/sensor/display"
	"github.com/interlock-security/interlock/device/sensor/gpio"
	"github.com/interlock-security/interlock/device/sensor/gpsd"
	"github.com/interlock-security/interlock/device/sensor/hwmon"
	"github.com/interlock-security/interlock/device/sensor/iio"
	"github.com/interlock-security/interlock/device/sensor/ipmi"
	"github.com/interlock-security/interlock/device/sensor/neighbour"
	"github.com/interlock-security/interlock/device/sensor/parts"
	"github.com/interlock-security/interlock/device/sensor/power"
	"github.com/interlock-security/interlock/device/sensor/redfish"
	"github.com/interlock-security/interlock/device/sensor/rtctamper"
	"github.com/interlock-security/interlock/device/sensor/sd"
	"github.com/interlock-security/interlock/device/sensor/serial"
	"github.com/interlock-security/interlock/device/sensor/tpm"
	"github.com/interlock-security/interlock/device/sensor/usb"
	"github.com/interlock-security/interlock/device/sensor/watchdog"
	"github.com/interlock-security/interlock/device/sensor/wifi"
)

// The drivers that the program itself names.
const (
	DriverCarrier = "carrier"
	DriverDisk    = "disk"
	DriverGPIO    = "gpio"
	DriverHwmon   = "hwmon"
	DriverUSB     = "usb"
	DriverSim     = "sim"
)

// registry lists what this build has. A new driver, judge or fusion is one line
// here; which of them run on a device is policy (TRUST F03).
var registry = []entryOf{
	// drivers
	driver(carrier.Doc, carrier.New),
	driver(clock.Doc, clock.New),
	driver(disk.Doc, disk.New),
	driver(gpio.Doc, gpio.New),
	driver(hwmon.Doc, hwmon.New),
	acting(driver(usb.Doc, usb.New)),
	driverOn(simDoc, newSim),
	driver(gpsd.Doc, gpsd.New),
	driver(ipmi.Doc, ipmi.New),
	driver(neighbour.Doc, neighbour.New),
	driver(redfish.Doc, redfish.New),
	driver(wifi.Doc, wifi.New),
	driver(parts.Doc, parts.New),
	driver(serial.Doc, serial.New),
	driver(sd.Doc, sd.New),
	driver(display.Doc, display.New),
	driver(tpm.Doc, tpm.New),
	acting(driver(watchdog.Doc, watchdog.New)),
	driver(rtctamper.Doc, rtctamper.New),
	driver(iio.Doc, iio.New),
	driver(power.Doc, power.New),
	// judges
	judge(component.Doc, component.New),
	judge(geofence.Doc, geofence.New),
	judge(known.Doc, known.New),
	judge(loop.Doc, loop.New),
	judge(environment.Doc, environment.New),
	judge(rapid.Doc, rapid.New),
	judge(judgepower.Doc, judgepower.New),
	judge(motion.Doc, motion.New),
	judge(orientation.Doc, orientation.New),
	judge(vibration.Doc, vibration.New),
	judge(anomaly.Doc, anomaly.New),
	// fusions
	fusion(enclosure.Doc, enclosure.New),
	fusion(confirm.Doc, confirm.New),
	fusion(rapid.Doc, rapid.New),
	fusion(access.Doc, access.New),
}

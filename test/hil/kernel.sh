#!/usr/bin/env bash
# Prepares the kernel that the hardware-in-the-loop test boots, and prints the
# folder that holds it: vmlinuz, modules/*.ko and modules/order.
#
# The kernel and most modules are Debian's own. Those that Debian doesn't ship
# (gpio-sim and irq_sim, the timer that clocks an accelerometer's buffer, the
# power supply of the kernel's own tests) are built here out of tree from
# Debian's source package; no line of that source enters this repository.
#
# The folder lies outside the clone, under a name made of the kernel's ABI and
# the hash of this file, so that a change of either builds anew and a second
# clone finds what the first one built. It appears by a rename: a build that
# was cut short leaves nothing that a later run could take for whole.
set -euo pipefail
trap 'echo "hil: kernel.sh: line $LINENO failed: $BASH_COMMAND" >&2' ERR

cache="${XDG_CACHE_HOME:-$HOME/.cache}/interlock"
self="$(realpath "${BASH_SOURCE[0]}")"
recipe="$(sha256sum "$self" | cut -c1-12)"
wanted=(
  virtio_pci virtio_net virtio_blk virtio_scsi sd_mod ext4 crc32c_generic
  configfs gpio-sim i2c-stub i2c-dev adm9240 w83792d w83793
  mma8452 bmc150_accel_i2c kxcjk-1013 ti-ads1015 bmp280-i2c tsl2563 iio-trig-hrtimer
  xhci_pci usbhid hid-generic evdev usb-storage
  sdhci-pci mmc_block
  ipmi_si ipmi_devintf i6300esb test_power
  nf_tables
)

say() { echo "hil: $*" >&2; }
die() {
  say "$1"
  say "next: $2"
  exit 1
}

for tool in apt-cache apt-get dpkg make gcc-12 bc depmod modprobe tar xz flock; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "$tool" >/dev/null ||
    die "$tool is missing; the kernel can't be prepared" "make deps, which installs what the tests need (Debian 12)"
done
export PATH="$PATH:/usr/sbin:/sbin"

# abi prints the kernel that linux-image-amd64 stands for today, or nothing
# where the package lists are missing.
abi() { { apt-cache depends linux-image-amd64 2>/dev/null || true; } | sed -n 's/^ *Depends: linux-image-\(6\.1\.[0-9]*-[0-9]*-amd64\)$/\1/p'; }

kernel="$(abi)"
if [ -z "$kernel" ]; then
  # Without package lists an earlier build by this very recipe is as good.
  found="$({ find "$cache" -maxdepth 1 -type d -name "hil-*-$recipe" 2>/dev/null || true; } | sort -V | tail -n 1)"
  if [ -n "$found" ]; then
    echo "$found"
    exit 0
  fi
  if [ "$(id -u)" -eq 0 ]; then
    say "fetching the package lists"
    apt-get update -qq >&2 || true
    kernel="$(abi)"
  fi
  [ -n "$kernel" ] || die "apt knows no linux-image-amd64 of the 6.1 series" "on Debian 12: sudo apt-get update, then again"
fi

target="$cache/hil-$kernel-$recipe"
if [ -f "$target/modules/order" ]; then
  echo "$target"
  exit 0
fi

mkdir -p "$cache"
exec 9>"$cache/hil.lock"
flock 9
rm -rf "$cache"/hil-build.* # of runs that were killed: who holds the lock is the only one
if [ -f "$target/modules/order" ]; then # another run built it meanwhile
  echo "$target"
  exit 0
fi

work="$(mktemp -d "$cache/hil-build.XXXXXX")"
trap 'rm -rf "$work"' EXIT
cd "$work"

say "no kernel under $target yet; building it once (about 240 MB to fetch, one to three minutes)"
say "fetching Debian's kernel $kernel, its headers and its source"
mkdir debs && cd debs
fetch() {
  apt-get -o APT::Sandbox::User=root download -qq \
    "linux-image-$kernel" "linux-headers-$kernel" "linux-headers-${kernel%-amd64}-common" \
    linux-kbuild-6.1 linux-compiler-gcc-12-x86 linux-source-6.1 >&2
}
if ! fetch; then
  # The lists may be older than the mirror. With fresh ones the kernel may be
  # another, so everything begins anew, once.
  if [ "$(id -u)" -eq 0 ] && [ -z "${HIL_LISTS_ARE_FRESH:-}" ]; then
    say "fetching the package lists anew"
    apt-get update -qq >&2 || true
    exec env HIL_LISTS_ARE_FRESH=1 bash "$self"
  fi
  die "Debian's kernel packages can't be fetched" "look at apt's words above; sudo apt-get update where the lists are old, then again"
fi
cd ..

say "unpacking"
dpkg -x debs/linux-image-*.deb image
for package in debs/linux-headers-*.deb debs/linux-kbuild-*.deb debs/linux-compiler-*.deb; do dpkg -x "$package" headers; done
dpkg -x debs/linux-source-*.deb source
rm -r debs
name=linux-source-6.1
tar -xJf "source/usr/src/$name.tar.xz" \
  "$name/drivers/gpio/gpio-sim.c" "$name/drivers/gpio/gpiolib.h" "$name/kernel/irq/irq_sim.c" \
  "$name/drivers/iio/industrialio-configfs.c" "$name/drivers/iio/industrialio-sw-trigger.c" "$name/drivers/iio/trigger/iio-trig-hrtimer.c" \
  "$name/drivers/power/supply/test_power.c"
rm -r source

say "building the modules that Debian does not ship"
# The headers' Makefile names its other half by an absolute path.
sed -i "s#^include .*#include $work/headers/usr/src/linux-headers-${kernel%-amd64}-common/Makefile#" \
  "headers/usr/src/linux-headers-$kernel/Makefile"
mkdir build
cp "$name/drivers/gpio/gpio-sim.c" build/gpio-sim-main.c
cp "$name/drivers/gpio/gpiolib.h" "$name/kernel/irq/irq_sim.c" "$name"/drivers/iio/*.c "$name"/drivers/iio/trigger/*.c "$name/drivers/power/supply/test_power.c" build/
# irq_sim.c is meant to be built in: as a module it needs a licence line, and
# the same descriptor by an exported way.
sed -i \
  -e 's/irq_to_desc(irqnum)/irq_data_to_desc(irq_get_irq_data(irqnum))/' \
  -e 's/#include <linux\/slab.h>/&\n#include <linux\/module.h>\n#include <linux\/irqdesc.h>\nMODULE_LICENSE("GPL");/' \
  build/irq_sim.c
cat >build/Makefile <<'MAKEFILE'
obj-m += irq_sim.o gpio-sim.o industrialio-configfs.o industrialio-sw-trigger.o iio-trig-hrtimer.o test_power.o
gpio-sim-y := gpio-sim-main.o
ccflags-y += -DCONFIG_IRQ_SIM=1
MAKEFILE
make -C "headers/usr/src/linux-headers-$kernel" M="$work/build" modules >build.log 2>&1 || {
  tail -n 30 build.log >&2
  die "the modules don't build against $kernel" "see the compiler's words above; the recipe is $self"
}

say "collecting the modules"
mkdir "image/lib/modules/$kernel/extra"
cp build/*.ko "image/lib/modules/$kernel/extra/"
depmod -b "$work/image" "$kernel"
mkdir -p done/modules
cp "image/boot/vmlinuz-$kernel" done/vmlinuz
for module in "${wanted[@]}"; do
  # Dependencies first, which is the order to load in; built-in ones are there.
  modprobe -d "$work/image" -S "$kernel" --show-depends "$module" 2>>missing.log | awk '$1 == "insmod" {print $2}' >>paths || {
    cat missing.log >&2
    die "Debian's $kernel has no module $module" "the recipe $self must name another"
  }
done
while read -r path; do
  file="$(basename "$path")"
  [ -f "done/modules/$file" ] && continue
  cp "$path" "done/modules/$file"
  echo "$file" >>done/modules/order
done <paths

rm -rf "$target" # what is there has no order file, so it was never whole
mv done "$target"
say "kernel $kernel is ready: $(du -sh "$target" | cut -f1) in $target"
echo "$target"

#!/usr/bin/env bash
# Installs the Debian packages that the tests use. Where packages can't be
# installed, it says what is missing and fails: a test that can't run is not a
# test that passed.
set -euo pipefail

# A command or a file, and the package that brings it. QEMU and what follows it
# are the hardware-in-the-loop test's (test/hil), Chromium the console's.
needs=(
  "gcc gcc"
  "ssh openssh-client"
  "/usr/sbin/sshd openssh-server"
  "/usr/lib/postgresql/15/bin/initdb postgresql"
  "ip iproute2"
  "nft nftables"
  "curl curl"
  "rsyslogd rsyslog"
  "logger bsdutils"
  "journalctl systemd"
  "qemu-system-x86_64 qemu-system-x86"
  "/usr/share/seabios/bios-256k.bin seabios"
  "/usr/lib/ipxe/qemu/efi-virtio.rom ipxe-qemu"
  "swtpm swtpm"
  "swtpm_setup swtpm-tools"
  "ipmi_sim openipmi"
  "/usr/sbin/gpsd gpsd"
  "gpsfake gpsd-clients"
  "/usr/sbin/mke2fs e2fsprogs"
  "/usr/sbin/modprobe kmod"
  "gcc-12 gcc-12"
  "make make"
  "/usr/include/libelf.h libelf-dev"
  "bc bc"
  "xz xz-utils"
  "chromium chromium"
  "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf fonts-dejavu-core"
)

missing=()
for need in "${needs[@]}"; do
  read -r command package <<<"$need"
  command -v "$command" >/dev/null 2>&1 || [ -e "$command" ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "make test needs these packages, and this user can't install them: ${missing[*]}" >&2
  echo "next: sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
echo "installing for the tests: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" libc6-dev >/dev/null

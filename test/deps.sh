#!/usr/bin/env bash
# Installs the Debian packages that the tests use. Where packages can't be
# installed, it says what is missing and fails: a test that can't run is not a
# test that passed.
set -euo pipefail

# command, package
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
)

missing=()
for need in "${needs[@]}"; do
  read -r command package <<<"$need"
  command -v "$command" >/dev/null 2>&1 || missing+=("$package")
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

#!/usr/bin/env bash
# Makes a root folder of a Debian with what this machine's own may not have: nix 2.26 for scripts/check-nix.sh and
# scripts/prove-flake.sh, and systemd 257 with PostgreSQL and Valkey for scripts/boot-units.sh. Once; prints the folder. Wants root.
#
#   NIX_ROOT=$(scripts/nix-root.sh)
set -euo pipefail

cache=${CRYPTO_TELEMETRY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/crypto-telemetry}
# Raise it with every change of what is in it.
root=$cache/tools/debian-13-v3

if [ ! -e "$root/.whole" ]; then
  command -v debootstrap >/dev/null || { echo 'nix-root: debootstrap is not on PATH' >&2; exit 1; }
  # What an interrupted run left behind.
  ! mountpoint -q "$root.new/proc" || umount "$root.new/proc"
  rm -rf "$root.new"
  mkdir -p "$root.new"
  log=$cache/tools/debian-13.log
  {
    # From wherever this machine takes its Debian packages.
    mirror=$(sed -nE 's/^deb (\[[^]]*\] )?(https?:[^ ]+) .*/\2/p; s/^URIs: *([^ ]+).*/\1/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1)
    debootstrap --variant=minbase trixie "$root.new" ${mirror:+"$mirror"}
    # Nothing that is installed there starts here.
    printf '#!/bin/sh\nexit 101\n' >"$root.new/usr/sbin/policy-rc.d"
    chmod +x "$root.new/usr/sbin/policy-rc.d"
    mount -t proc proc "$root.new/proc"
    trap 'umount "$root.new/proc"' EXIT
    chroot "$root.new" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      nix-bin libdbi-perl systemd libnss-systemd dbus iproute2 postgresql valkey-server curl jq
    chroot "$root.new" apt-get clean
    umount "$root.new/proc"
    trap - EXIT
    # Programs look for /dev/null and the like; there are no others of its own.
    for device in null zero random urandom tty; do cp -a "/dev/$device" "$root.new/dev/$device" 2>/dev/null || true; done
  } >"$log" 2>&1 || { tail -n 20 "$log" >&2; echo "nix-root: see $log" >&2; exit 1; }
  touch "$root.new/.whole"
  rm -rf "$root"
  mv "$root.new" "$root"
fi
echo "$root"

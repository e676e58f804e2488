#!/usr/bin/env bash
# Runs a command in NIX_ROOT (see nix-root.sh), or here where there is none. Wants root where there is one.
set -euo pipefail

[ -n "${NIX_ROOT:-}" ] || exec "$@"
# Nix looks for itself in /proc; the mount is gone with the command.
# shellcheck disable=SC2016 # the inner shell's
exec unshare --mount bash -c 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' "$NIX_ROOT" "$@"

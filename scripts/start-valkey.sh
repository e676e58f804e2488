#!/usr/bin/env bash
# Starts the Valkey that is on PATH, or the Redis, as a cache of this stack's own: VALKEY_SOCKET is where it listens, and
# nowhere else; whoever starts the stack alone gets in. It keeps VALKEY_MEMORY_MIB (64), forgets what was used least lately,
# and writes nothing down. Called by process-compose.full.yaml. With --check it only says whether it could.
set -euo pipefail

die() { printf 'valkey: %s\n' "$*" >&2; exit 1; }

server=$(command -v valkey-server || command -v redis-server) ||
  die 'there is no Valkey or Redis here: install one (Debian: valkey-server or redis-server; Nix: valkey), or start without --full'
[[ ${VALKEY_MEMORY_MIB:-64} =~ ^[1-9][0-9]{0,6}$ ]] || die "VALKEY_MEMORY_MIB is a number, and not ${VALKEY_MEMORY_MIB:-}"
# In a folder for everybody a name may be somebody else's.
[ ! -e "$VALKEY_SOCKET" ] || [ -O "$VALKEY_SOCKET" ] || die "$VALKEY_SOCKET, where it listens, belongs to somebody else"
[ "${1:-}" != --check ] || exit 0

data=$CRYPTO_TELEMETRY_DATA/valkey
install -d -m 0700 "$data"
# No file of settings: this machine's own is another server's.
exec "$server" --port 0 --unixsocket "$VALKEY_SOCKET" --unixsocketperm 700 --dir "$data" --daemonize no --loglevel warning \
  --save '' --appendonly no --databases 1 --maxmemory "${VALKEY_MEMORY_MIB:-64}mb" --maxmemory-policy allkeys-lru

#!/usr/bin/env bash
# Starts the PostgreSQL that is on PATH (or where Debian keeps it) with a cluster of this stack's own, made at the first
# start. Called by process-compose.full.yaml. POSTGRESQL_SOCKET_DIR is where its socket lies; it listens nowhere else.
# With --check it only says whether it could.
set -euo pipefail

die() { printf 'postgresql: %s\n' "$*" >&2; exit 1; }

# Debian has clients on PATH, and the server beside the version.
if ! command -v initdb >/dev/null; then
  newest=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
  [ -n "$newest" ] || die 'there is no PostgreSQL here: install it (Debian: postgresql), or start without --full'
  PATH=$newest:$PATH
fi

# It refuses to run as root: as the user that the package made, then.
as=()
owner=$(id -un)
if [ "$(id -u)" -eq 0 ]; then
  id postgres >/dev/null 2>&1 || die 'PostgreSQL does not run as root, and there is no user postgres: start the stack as somebody else'
  as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
  owner=postgres
fi
[ "${1:-}" != --check ] || exit 0

data=$CRYPTO_TELEMETRY_DATA/postgresql
socket=$POSTGRESQL_SOCKET_DIR
install -d -m 0700 -o "$owner" "$socket" "$data"

if [ ! -s "$data/PG_VERSION" ]; then
  # What an interrupted first start left behind.
  find "$data" -mindepth 1 -delete
  "${as[@]}" initdb --pgdata="$data" --username=postgres --auth=peer --encoding=UTF8 --locale=C.UTF-8 >/dev/null || {
    find "$data" -mindepth 1 -delete
    die 'the cluster could not be made'
  }
fi
have=$(cat "$data/PG_VERSION")
program=$(postgres --version | sed -E 's/.* ([0-9]+).*/\1/')
[ "$have" = "$program" ] ||
  die "$data is of PostgreSQL $have, and PostgreSQL $program is here: pg_upgrade turns one into the other, or remove the folder and begin anew"

# Written at every start: who starts the stack may have changed. The services run as who starts it.
printf 'local all all peer map=stack\n' >"$data/pg_hba.conf"
printf 'stack %s crypto_telemetry\nstack %s postgres\n' "$(id -un)" "$owner" >"$data/pg_ident.conf"

if ! [ -e "$data/crypto_telemetry.made" ]; then
  # Alone with the files, before anybody can connect. A database that is there already is an interrupted first start.
  made=$("${as[@]}" postgres --single -D "$data" postgres 2>&1 <<'SQL'
CREATE ROLE crypto_telemetry LOGIN
CREATE DATABASE crypto_telemetry OWNER crypto_telemetry
SQL
  ) || die "the database could not be made: $made"
  if grep -E 'ERROR|FATAL' <<<"$made" | grep -qv 'already exists'; then die "the database could not be made: $made"; fi
  touch "$data/crypto_telemetry.made"
fi

exec "${as[@]}" postgres -D "$data" -c listen_addresses= -c unix_socket_directories="$socket" -c unix_socket_permissions=0700

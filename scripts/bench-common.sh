# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # read and set by who sources this
# What the scripts that measure share: a stack of their own with nothing in it, its processes, rows of a table, and where
# the table goes. Sourced; the script says before that:
#   marks   the marks in docs/PERFORMANCE.md between which its table stands
#   command how it was called, for the line below the table
# and ends with `publish "$@"`.

for program in curl jq; do
  command -v "$program" >/dev/null || { echo "bench: $program is not on PATH; install it and run this again" >&2; exit 1; }
done
case ${1:-} in
  '' | --write) ;;
  *) echo "bench: $1 is no option; there is --write" >&2; exit 2 ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CRYPTO_TELEMETRY_DATA=$(mktemp -d "${TMPDIR:-/tmp}/crypto-telemetry-bench.XXXXXX")
export CRYPTO_TELEMETRY_DATA
# shellcheck source=scripts/stack-env.sh
. "$root/scripts/stack-env.sh"
export LOG_LEVEL=${LOG_LEVEL:-info}
notifier=http://127.0.0.1:${NOTIFIER_PORT:-9000}
gateway=http://127.0.0.1:${GATEWAY_PORT:-8080}
# What is measured is the work, not the gateway's refusal to do more of it for one client.
export RATE_LIMIT_PER_SECOND=100000 RATE_LIMIT_BURST=100000
signal=http://127.0.0.1:${SIGNAL_PORT:-8000}
trading=http://127.0.0.1:${ORDER_PORT:-5002}
simulator=http://127.0.0.1:${SIMULATOR_PORT:-8090}
# Nor the limits of an account, ours or the exchange's.
export MAX_ORDERS_PER_MINUTE=1000000 MAX_POSITION_NOTIONAL_USD=1000000 SIGNAL_HOOK_RATE_PER_MINUTE=0 BINGX_ORDERS_PER_SECOND=1000 SIMULATOR_BINGX_ORDERS_PER_SECOND=1000
tempo=http://127.0.0.1:${TEMPO_PORT:-3200}
loki=http://127.0.0.1:${LOKI_PORT:-3100}
prometheus=http://127.0.0.1:${PROMETHEUS_PORT:-9090}

started=0
failed=0
finish() {
  if [ "$started" = 1 ]; then "$root/scripts/down.sh" >/dev/null 2>&1 || true; fi
  postgresql_stop
  rm -rf "$CRYPTO_TELEMETRY_DATA" "$postgresql_folder"
}
trap finish EXIT

# A PostgreSQL server of this run's own, with its default settings (each commit waits for the disk), on a socket in a
# folder that its user can reach. It refuses to run as root, and it is no process of the stack, which is told by its data
# folder in the environment.
postgresql_folder=$(mktemp -d "${TMPDIR:-/tmp}/ct-bench-pg.XXXXXX")
postgresql_programs=
for found in $(command -v initdb || true) $(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V || true); do
  postgresql_programs=$(dirname "$found")
done
as_postgresql() {
  if [ "$(id -u)" = 0 ]; then
    (cd / && env -u CRYPTO_TELEMETRY_DATA \
      setpriv --reuid=postgres --regid=postgres --clear-groups "$postgresql_programs/$1" "${@:2}")
  else
    env -u CRYPTO_TELEMETRY_DATA "$postgresql_programs/$1" "${@:2}"
  fi
}
postgresql_start() {
  if [ "$(id -u)" = 0 ]; then chown postgres "$postgresql_folder"; fi
  as_postgresql initdb -D "$postgresql_folder/data" --auth=trust --username=bench --encoding=UTF8 --locale=C >/dev/null
  as_postgresql pg_ctl -D "$postgresql_folder/data" -w -l "$postgresql_folder/log" \
    -o "-c listen_addresses= -c unix_socket_directories=$postgresql_folder" start >/dev/null
}
postgresql_stop() {
  if [ -f "$postgresql_folder/data/postmaster.pid" ]; then
    as_postgresql pg_ctl -D "$postgresql_folder/data" -m immediate stop >/dev/null || true
  fi
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }
note() { printf 'bench: %s\n' "$*" >&2; }
rows=()
row() { rows+=("| $1 | $2 | $3 |"); note "$1: $2"; }

# Ids of the processes of this stack and of no other: those that were started with its data folder in their environment.
# The search itself is not (so no pipe to another program), nor is this shell, which set the variable later.
stack_processes() {
  local found
  found=$(env -u CRYPTO_TELEMETRY_DATA grep -lsxzF "CRYPTO_TELEMETRY_DATA=$CRYPTO_TELEMETRY_DATA" /proc/[0-9]*/environ) || true
  found=${found//\/proc\//}
  printf '%s' "${found//\/environ/}"
}

# Starts the stack with nothing in it: what an earlier part has left would slow a later one down.
up() {
  local from
  rm -rf "${CRYPTO_TELEMETRY_DATA:?}"/*
  if [ -n "${DATABASE_URL:-}" ]; then
    as_postgresql dropdb -h "$postgresql_folder" -U bench --if-exists bench
    as_postgresql createdb -h "$postgresql_folder" -U bench bench
  fi
  from=$(now_ms)
  DETACH=1 "$root/scripts/up.sh" >&2
  started=1
  ready_ms=$(($(now_ms) - from))
}

down() {
  local from
  from=$(now_ms)
  "$root/scripts/down.sh" >&2
  while left=$(stack_processes) && [ -n "$left" ]; do
    if [ $(($(now_ms) - from)) -gt 60000 ]; then
      note "still running a minute after the stop: $(tr '\n' ' ' <<<"$left")"
      exit 1
    fi
    sleep 0.02
  done
  started=0
  stopped_ms=$(($(now_ms) - from))
}

# Ids of this stack's processes of one name; for the services that is their subcommand.
pids_of() {
  local pid line
  local -a words
  for pid in $(stack_processes); do
    mapfile -d '' -t words 2>/dev/null <"/proc/$pid/cmdline" || continue
    [ ${#words[@]} -gt 0 ] || continue
    line=${words[0]##*/}
    [ "$line" != crypto-telemetry ] || line=${words[1]:-}
    if [ "$line" = "$1" ]; then echo "$pid"; fi
  done
}

# memory_mib <name> <Rss|Pss>: memory of this stack's processes of one name, in MiB. Rss counts pages that processes share
# in each of them, Pss divides them among those who share them.
memory_mib() {
  local pid kib=0 found=0
  for pid in $(pids_of "$1"); do
    found=1
    kib=$((kib + $(awk -v kind="$2:" '$1 == kind { print $2 }' "/proc/$pid/smaps_rollup")))
  done
  [ "$found" = 1 ] || { note "there is no process $1 in this stack"; exit 1; }
  awk -v kib="$kib" 'BEGIN { printf "%.1f", kib / 1024 }'
}

# cpu_ms <name…>: processor time that this stack's processes of these names have used since they began.
cpu_ms() {
  local name pid ticks=0
  for name in "$@"; do
    for pid in $(pids_of "$name"); do
      # Behind the name in brackets: utime and stime are the 12th and 13th.
      ticks=$((ticks + $(sed 's/.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 }')))
    done
  done
  echo $((ticks * 1000 / $(getconf CLK_TCK)))
}
# Of a report. The load ends with exit code 1 when something failed; the report is there all the same.
latencies() { jq -r '.latency | [.["p50_us"], .["p99_us"], .["max_us"]] | map(. / 1000 | tostring) | join(" / ")' <<<"$1"; }

# publish [--write]: the table of the rows, and with --write into docs/PERFORMANCE.md.
publish() {
  local table document mark
  table=$(
    printf '| what | measured | promised |\n|---|---|---|\n'
    printf '%s\n' "${rows[@]}"
    printf '\nTaken by \x60%s\x60 on %s: %s cores, %s, commit %s.\n' \
      "$command" "$(date -u +%F)" "$(nproc)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(git -C "$root" rev-parse --short HEAD)"
  )
  printf '%s\n' "$table"
  if [ "${1:-}" = --write ]; then
    document=$root/docs/PERFORMANCE.md
    for mark in begin end; do
      grep -qxF "<!-- $marks:$mark -->" "$document" || { note "docs/PERFORMANCE.md has no line <!-- $marks:$mark -->"; exit 1; }
    done
    # Through the environment: awk -v would take a backslash in the text for an escape.
    TABLE=$table BEGIN_MARK="<!-- $marks:begin -->" END_MARK="<!-- $marks:end -->" awk '
      $0 == ENVIRON["END_MARK"] { skip = 0 }
      !skip { print }
      $0 == ENVIRON["BEGIN_MARK"] { print ENVIRON["TABLE"]; skip = 1 }
    ' "$document" >"$document.new"
    mv "$document.new" "$document"
    note "written to docs/PERFORMANCE.md"
  fi
  if [ "$failed" = 1 ]; then
    note "something failed, or not even the first rate was held: see the rows"
    exit 1
  fi
}

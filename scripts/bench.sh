#!/usr/bin/env bash
# Takes the numbers of docs/PERFORMANCE.md on this machine, on a release build, with data of its own. `make bench` builds
# first and calls this. The port variables of process-compose.yaml move it out of the way of a stack that is running, but
# a stack beside it takes part of the machine, and the numbers say so.
#
#   scripts/bench.sh            prints the table
#   scripts/bench.sh --write    and puts it between the marks in docs/PERFORMANCE.md
set -euo pipefail

for program in curl jq; do
  command -v "$program" >/dev/null || { echo "bench: $program is not on PATH; install it and run this again" >&2; exit 1; }
done
case ${1:-} in
  '' | --write) ;;
  *) echo "bench: $1 is no option; there is --write" >&2; exit 2 ;;
esac

root=$(cd "$(dirname "$0")/.." && pwd)
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
export MAX_ORDERS_PER_MINUTE=1000000 MAX_POSITION_NOTIONAL_USD=1000000 SIGNAL_HOOK_RATE_PER_MINUTE=0 BINGX_ORDERS_PER_SECOND=10000 SIMULATOR_BINGX_ORDERS_PER_SECOND=10000
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

# Milliseconds until the command prints something, from now; gives up after 30 s.
until_found() {
  local from
  from=$(now_ms)
  while [ -z "$("$@" 2>/dev/null)" ]; do
    if [ $(($(now_ms) - from)) -gt 30000 ]; then echo "not within 30000"; return; fi
    sleep 0.02
  done
  echo $(($(now_ms) - from))
}

# The trace id of a new ask.
ask() {
  curl -sSf -X POST -H 'Content-Type: application/json' -d '{"symbols":["BTCUSDT"]}' "$notifier/v1/ask" | jq -er .trace_id ||
    { note "an ask failed, or its answer has no trace id"; exit 1; }
}
trace_by_id() { curl -sf "$tempo/api/traces/$1" | grep -o '"traceId"\|"batches"' | head -n 1; }
trace_by_search() {
  curl -sf -G "$tempo/api/search" --data-urlencode "q={resource.service.name=\"notifier-service\"}" \
    | grep -o "${1#"${1%%[!0]*}"}"
}
log_line() {
  curl -sf -G "$loki/loki/api/v1/query_range" --data-urlencode since=10m \
    --data-urlencode "query={service_name=\"notifier-service\"} | trace_id=\"$1\"" | grep -o '"values"'
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
links=(api-gateway user-service order-service audit-service market-data-service)

# highest <what> <of what> [load's options…]
# The highest rate held goes to `rate`; empty, and a row that says so, when not even the first one is.
highest() {
  local what=$1 unit=$2 report
  shift 2
  if report=$(NOTIFIER_URL=$notifier crypto-telemetry load "$@" --rate 100 --for 8s --find-highest --json 2>"$CRYPTO_TELEMETRY_DATA/highest"); then
    rate=$(jq -r .rate_per_second <<<"$report")
    row "$what" "$rate $unit a second" ""
  else
    rate=
    failed=1
    row "$what" "none: $(tail -n 1 "$CRYPTO_TELEMETRY_DATA/highest" | tr '|' '/')" ""
  fi
}

note "start with an empty data folder"
up
row "\`make up\` on a built tree: everything ready" "$ready_ms ms" "4,000 ms"

trace_id=$(ask)
by_id=$(until_found trace_by_id "$trace_id")
row "first ask: trace found by id after the reply" "$by_id ms" "1,000 ms"
trace_id=$(ask)
row "ask: trace found by TraceQL search after the reply" "$(until_found trace_by_search "$trace_id") ms" "3,000 ms"
trace_id=$(ask)
row "ask: log line found after the reply" "$(until_found log_line "$trace_id") ms" "2,000 ms"

note "idle for 20 s, then memory"
sleep 20
total=0
for process in market-data-service decision-service notifier-service api-gateway user-service order-service audit-service signal-service simulator; do
  mib=$(memory_mib "$process" Rss)
  row "idle memory of $process: resident (its share, where pages are shared)" "$mib MiB ($(memory_mib "$process" Pss) MiB)" "20 MB"
  total=$(awk -v a="$total" -v b="$mib" 'BEGIN { print a + b }')
done
for process in otelcol prometheus alertmanager tempo loki process-compose; do
  mib=$(memory_mib "$process" Rss)
  row "idle memory of $process" "$mib MiB" ""
  total=$(awk -v a="$total" -v b="$mib" 'BEGIN { print a + b }')
done
row "idle memory of the whole stack without Grafana" "$total MiB" "600 MB"

note "100 asks a second for 30 s, telemetry on at 100 %"
# Exit code 1 when an ask failed: the report is there all the same, and the row has their number.
latencies() { jq -r '.latency | [.["p50_us"], .["p99_us"], .["max_us"]] | map(. / 1000 | tostring) | join(" / ")' <<<"$1"; }
report=$(NOTIFIER_URL=$notifier crypto-telemetry load --rate 100 --for 30s --json) || failed=1
row "100 asks a second, telemetry on: p50 / p99 / max" \
  "$(latencies "$report") ms, $(jq -r .failed <<<"$report") failed" "p99 20 ms"

note "highest rate with telemetry on"
highest "highest rate held (p99 within 100 ms, none failed), telemetry on" asks
on_rate=$rate

# chain <engine>: latencies at 50 a second, and the highest rate, which goes to `rate`
chain() {
  note "the business chain on $1: 50 requests a second for 30 s, and the highest rate"
  report=$(crypto-telemetry load --gateway-url "$gateway" --journeys process --rate 50 --for 30s --json) || failed=1
  row "50 requests a second through the chain, $1: p50 / p99 / max" \
    "$(latencies "$report") ms, $(jq -r .failed <<<"$report") failed" ""
  highest "highest rate held through the chain, $1" requests --gateway-url "$gateway" --journeys process
}
# Telemetry that services could not send since they began, as they count it themselves and Prometheus knows it. A counter
# is there from the first loss on, so it is made sure that the services' metrics are there at all.
dropped() {
  sleep 16 # the next scrape
  prometheus_value 'count(process_cpu_seconds_total{service_name=~".+-service|api-gateway"} > 0)' >/dev/null
  prometheus_value 'sum(telemetry_items_dropped_total) or vector(0)'
}
prometheus_value() {
  curl -sSf -G "$prometheus/api/v1/query" --data-urlencode "query=$1" | jq -er '.data.result[0].value[1]' ||
    { note "Prometheus has no answer to $1"; exit 1; }
}

# Alerts: what TradingView waits for, what traders wait for, and how many are carried out.
hook() {
  crypto-telemetry hooks create "bench-$RANDOM" --json | jq -er .url >"$CRYPTO_TELEMETRY_DATA/hook" || { note "no hook can be made"; exit 1; }
}
alerts() { crypto-telemetry load --journeys signals --hook-url-file "$CRYPTO_TELEMETRY_DATA/hook" --json "$@"; }
# signals_of <status>: how many signals have it.
signals_of() {
  local cursor='' page count=0
  while page=$(curl -sSf "$signal/v1/signals?status=$1&limit=100$cursor"); do
    count=$((count + $(jq '.items | length' <<<"$page")))
    cursor=$(jq -r '.next_cursor // empty' <<<"$page")
    [ -n "$cursor" ] || { echo "$count"; return; }
    cursor="&cursor=$cursor"
  done
  note "signal-service does not say which signals are $1"
  exit 1
}
# Waits until no signal waits any more; a minute without progress is the end.
all_executed() {
  local from page
  from=$(now_ms)
  while page=$(curl -sSf "$signal/v1/signals?status=queued&limit=1") && [ "$(jq '.items | length' <<<"$page")" -gt 0 ]; do
    if [ $(($(now_ms) - from)) -gt 300000 ]; then note "signals still wait after five minutes"; failed=1; return; fi
    sleep 0.1
  done
}
# Milliseconds from a signal's arrival to the exchange's word that it has the order, p50 / p99, of every order.
signal_to_order() {
  local cursor='' page
  while page=$(curl -sSf "$trading/v1/trading/orders?limit=100$cursor"); do
    jq -r '.items[] | select(.submitted_at) | [.received_at, .submitted_at] | map(
      capture("^(?<second>[^.Z]+)(\\.(?<part>[0-9]+))?") | ((.second + "Z") | fromdate) * 1000 + (("0." + (.part // "0")) | tonumber) * 1000
    ) | .[1] - .[0]' <<<"$page"
    cursor=$(jq -r '.next_cursor // empty' <<<"$page")
    [ -n "$cursor" ] || break
    cursor="&cursor=$cursor"
  done | sort -n | awk '{ v[NR] = $1 } END { printf "%.1f / %.1f ms (%d orders)", v[int((NR + 1) / 2)], v[int(NR * 0.99 + 0.999)], NR }'
}
# signals <engine>
signals() {
  local report from sent took
  hook
  note "alerts on $1: 20 a second for 30 s"
  report=$(alerts --rate 20 --for 30s) || failed=1
  row "20 alerts a second, $1: answer p50 / p99 / max" "$(latencies "$report") ms, $(jq -r .failed <<<"$report") failed" ""
  all_executed
  row "from a signal's arrival to the exchange's word that it has the order, at 20 a second, $1: p50 / p99" "$(signal_to_order)" ""
  note "the same while the exchange is down"
  curl -sSf -H 'Content-Type: application/json' -d '{"target":"bingx","kind":"server_error","status":503,"duration_ms":120000}' \
    "$simulator/control/faults" >/dev/null
  report=$(alerts --rate 20 --for 20s) || failed=1
  row "20 alerts a second while the exchange is down, $1: answer p50 / p99 / max" \
    "$(latencies "$report") ms, $(jq -r .failed <<<"$report") failed" "p99 100 ms"
  curl -sSf -X DELETE "$simulator/control/faults" >/dev/null
  all_executed
  note "and while it takes every call and answers none"
  curl -sSf -H 'Content-Type: application/json' -d '{"target":"bingx","kind":"latency","latency_ms":30000,"duration_ms":120000}' \
    "$simulator/control/faults" >/dev/null
  report=$(alerts --rate 20 --for 20s) || failed=1
  row "20 alerts a second while the exchange does not answer, $1: answer p50 / p99 / max" \
    "$(latencies "$report") ms, $(jq -r .failed <<<"$report") failed" "p99 100 ms"
  curl -sSf -X DELETE "$simulator/control/faults" >/dev/null
  all_executed
  note "200 alerts a second for 20 s, and until all are carried out"
  sent=$(signals_of executed)
  from=$(now_ms)
  report=$(alerts --rate 200 --for 20s --repeat-percent 0) || failed=1
  all_executed
  took=$(($(now_ms) - from))
  sent=$(($(signals_of executed) - sent))
  row "signals carried out a second, $1 (4,000 sent in 20 s, until the last one)" \
    "$(awk -v n="$sent" -v ms="$took" 'BEGIN { printf "%.0f", n * 1000 / ms }')" ""
  row "of these 4,000: taken, carried out, failed" \
    "$(jq -r .answered <<<"$report"), $sent, $(signals_of failed)" "none lost"
  # It knows a client order id again and would not take it twice: what counts is how often one came. While the exchange was
  # down each order came more than once, and was never taken.
  row "orders of these that came to the exchange more than once, $1" \
    "$(curl -sSf "$simulator/control/bingx" | jq --argjson from "$from" \
      '[.client_order_ids[] | select(.received > 1 and .accepted_ms > $from)] | length')" "0"
}
signals "SQLite, telemetry on"
down
up

chain "SQLite, telemetry on"
chain_on_rate=$rate
if [ -n "$chain_on_rate" ]; then
  minute_rate=$((${chain_on_rate%.*} * 3 / 5))
  note "a minute at $minute_rate requests a second, then memory"
  dropped_before=$(dropped)
  declare -A before
  for process in "${links[*]}" otelcol tempo loki prometheus alertmanager process-compose; do
    # shellcheck disable=SC2086 # the services are several words
    before[$process]=$(cpu_ms $process)
  done
  report=$(crypto-telemetry load --gateway-url "$gateway" --journeys process --rate "$minute_rate" --for 60s --json) || failed=1
  row "a minute of $minute_rate requests a second through the chain (SQLite): p50 / p99 / max" \
    "$(latencies "$report") ms, $(jq -r .failed <<<"$report") failed" "p99 20 ms"
  for process in "${links[*]}" otelcol tempo loki prometheus alertmanager process-compose; do
    # shellcheck disable=SC2086 # the services are several words
    used=$(($(cpu_ms $process) - ${before[$process]}))
    what=$process
    [ "$what" != "${links[*]}" ] || what="the five services"
    row "processor time a request in that minute: $what" \
      "$(awk -v ms="$used" -v requests="$(jq -r .answered <<<"$report")" 'BEGIN { printf "%.2f", ms / requests }') ms" ""
  done
  row "spans, log records and metric points that services dropped in that minute" "$(($(dropped) - dropped_before))" "0"
  for process in market-data-service api-gateway user-service order-service audit-service otelcol prometheus alertmanager tempo loki process-compose; do
    row "memory of $process after that minute: resident (its share)" "$(memory_mib "$process" Rss) MiB ($(memory_mib "$process" Pss) MiB)" ""
  done
fi
down
row "from SIGTERM to nothing left running, after that load" "$stopped_ms ms" "10,000 ms"

if [ -n "$postgresql_programs" ]; then
  postgresql_start
  export DATABASE_URL="postgres://bench@localhost/bench?host=$postgresql_folder"
  up
  signals "PostgreSQL, telemetry on"
  chain "PostgreSQL, telemetry on"
  postgresql_on_rate=$rate
  down
  unset DATABASE_URL
else
  note "there is no PostgreSQL here (initdb neither on PATH nor in /usr/lib/postgresql): its rows are left out"
fi

note "the same with telemetry off"
export TELEMETRY_ENABLED=false
up
# on_to_off <what> <rate on> <rate off>
on_to_off() { [ -z "$2" ] || [ -z "$3" ] || row "$1" "$(awk -v a="$2" -v b="$3" 'BEGIN { printf "%.2f", a / b }')" "$4"; }
highest "highest rate held, telemetry off (backends idle beside it)" asks
on_to_off "telemetry on / off" "$on_rate" "$rate" ""
chain "SQLite, telemetry off"
on_to_off "telemetry on / off, chain on SQLite" "$chain_on_rate" "$rate" "0.7"
down
if [ -n "$postgresql_programs" ]; then
  export DATABASE_URL="postgres://bench@localhost/bench?host=$postgresql_folder"
  up
  chain "PostgreSQL, telemetry off"
  on_to_off "telemetry on / off, chain on PostgreSQL" "$postgresql_on_rate" "$rate" ""
  down
fi

table=$(
  printf '| what | measured | promised |\n|---|---|---|\n'
  printf '%s\n' "${rows[@]}"
  printf '\nTaken by \x60make bench\x60 on %s: %s cores, %s, commit %s.\n' \
    "$(date -u +%F)" "$(nproc)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(git -C "$root" rev-parse --short HEAD)"
)
printf '%s\n' "$table"
if [ "${1:-}" = --write ]; then
  document=$root/docs/PERFORMANCE.md
  for mark in begin end; do
    grep -qxF "<!-- bench:$mark -->" "$document" || { note "docs/PERFORMANCE.md has no line <!-- bench:$mark -->"; exit 1; }
  done
  # Through the environment: awk -v would take a backslash in the text for an escape.
  TABLE=$table awk '
    /<!-- bench:end -->/ { skip = 0 }
    !skip { print }
    /<!-- bench:begin -->/ { print ENVIRON["TABLE"]; skip = 1 }
  ' "$document" >"$document.new"
  mv "$document.new" "$document"
  note "written to docs/PERFORMANCE.md"
fi
if [ "$failed" = 1 ]; then
  note "asks failed, or not even the first rate was held: see the rows"
  exit 1
fi

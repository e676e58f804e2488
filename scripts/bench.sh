#!/usr/bin/env bash
# Takes the numbers of docs/PERFORMANCE.md on this machine, on a release build, with data of its own. `make bench` builds
# first and calls this, and bench-alerts.sh after it. The port variables of process-compose.yaml move it out of the way of a
# stack that is running, but a stack beside it takes part of the machine, and the numbers say so.
#
#   scripts/bench.sh            prints the table
#   scripts/bench.sh --write    and puts it between the marks in docs/PERFORMANCE.md
set -euo pipefail
marks=bench command='make bench'
# shellcheck source=scripts/bench-common.sh
. "$(dirname "$0")/bench-common.sh"

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
for process in market-data-service decision-service notifier-service api-gateway user-service order-service audit-service signal-service pipeline-service pipeline-worker trigger-dispatcher signal-generator simulator; do
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

publish "$@"

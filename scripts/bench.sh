#!/usr/bin/env bash
# Takes the numbers of docs/PERFORMANCE.md on this machine, on a release build and the stack's own ports, with data of
# its own. `make bench` builds first and calls this.
#
#   scripts/bench.sh            prints the table
#   scripts/bench.sh --write    and puts it between the marks in docs/PERFORMANCE.md
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
CRYPTO_TELEMETRY_DATA=$(mktemp -d "${TMPDIR:-/tmp}/crypto-telemetry-bench.XXXXXX")
export CRYPTO_TELEMETRY_DATA
# shellcheck source=scripts/stack-env.sh
. "$root/scripts/stack-env.sh"
export LOG_LEVEL=${LOG_LEVEL:-info}

started=0
finish() {
  if [ "$started" = 1 ]; then "$root/scripts/down.sh" >/dev/null 2>&1 || true; fi
  rm -rf "$CRYPTO_TELEMETRY_DATA"
}
trap finish EXIT

now_ms() { echo $(($(date +%s%N) / 1000000)); }
note() { printf 'bench: %s\n' "$*" >&2; }
rows=()
row() { rows+=("| $1 | $2 | $3 |"); note "$1: $2"; }

up() {
  local from
  from=$(now_ms)
  DETACH=1 "$root/scripts/up.sh" >&2
  started=1
  ready_ms=$(($(now_ms) - from))
}

down() {
  local from
  from=$(now_ms)
  "$root/scripts/down.sh" >&2
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

ask() { curl -sf -X POST -H 'Content-Type: application/json' -d '{"symbols":["BTCUSDT"]}' http://127.0.0.1:9000/v1/ask; }
trace_by_id() { curl -sf "http://127.0.0.1:3200/api/traces/$1" | grep -o '"traceId"\|"batches"' | head -n 1; }
trace_by_search() {
  curl -sf -G http://127.0.0.1:3200/api/search --data-urlencode "q={resource.service.name=\"notifier-service\"}" \
    | grep -o "${1#"${1%%[!0]*}"}"
}
log_line() {
  curl -sf -G http://127.0.0.1:3100/loki/api/v1/query_range --data-urlencode since=10m \
    --data-urlencode "query={service_name=\"notifier-service\"} | trace_id=\"$1\"" | grep -o '"values"'
}

resident_mib() {
  # Sum over the processes whose command line begins so; kibibytes to mebibytes with one decimal.
  ps -eo rss=,args= | awk -v want="$1" 'index($0, want) { sum += $1 } END { printf "%.1f", sum / 1024 }'
}

note "start with an empty data folder"
up
row "\`make up\` on a built tree: everything ready" "$ready_ms ms" "4,000 ms"

trace_id=$(ask | jq -r .trace_id)
by_id=$(until_found trace_by_id "$trace_id")
row "first ask: trace found by id after the reply" "$by_id ms" "1,000 ms"
trace_id=$(ask | jq -r .trace_id)
row "ask: trace found by TraceQL search after the reply" "$(until_found trace_by_search "$trace_id") ms" "3,000 ms"
trace_id=$(ask | jq -r .trace_id)
row "ask: log line found after the reply" "$(until_found log_line "$trace_id") ms" "2,000 ms"

note "idle for 20 s, then memory"
sleep 20
total=0
for process in market-data-service decision-service notifier-service simulator; do
  mib=$(resident_mib "crypto-telemetry $process")
  row "idle memory of $process" "$mib MiB" "20 MB"
  total=$(awk -v a="$total" -v b="$mib" 'BEGIN { print a + b }')
done
for process in otelcol prometheus tempo loki process-compose; do
  mib=$(ps -C "$process" -o rss= | awk '{ sum += $1 } END { printf "%.1f", sum / 1024 }')
  row "idle memory of $process" "$mib MiB" ""
  total=$(awk -v a="$total" -v b="$mib" 'BEGIN { print a + b }')
done
row "idle memory of the whole stack without Grafana" "$total MiB" "600 MB"

note "100 asks a second for 30 s, telemetry on at 100 %"
report=$(crypto-telemetry load --rate 100 --for 30s --json)
row "100 asks a second, telemetry on: p50 / p99 / max" \
  "$(jq -r '.latency | [.["p50_us"], .["p99_us"], .["max_us"]] | map(. / 1000 | tostring) | join(" / ")' <<<"$report") ms, $(jq -r .failed <<<"$report") failed" "p99 20 ms"

note "highest rate with telemetry on"
on=$(crypto-telemetry load --rate 100 --for 8s --find-highest --json)
on_rate=$(jq -r .rate_per_second <<<"$on")
row "highest rate held (p99 within 100 ms, none failed), telemetry on" "$on_rate asks a second" ""
down
row "from SIGTERM to nothing left running, after that load" "$stopped_ms ms" "10,000 ms"

note "highest rate with telemetry off"
export TELEMETRY_ENABLED=false
up
off=$(crypto-telemetry load --rate 100 --for 8s --find-highest --json)
off_rate=$(jq -r .rate_per_second <<<"$off")
row "highest rate held, telemetry off (backends idle beside it)" "$off_rate asks a second" ""
row "telemetry on / off" "$(awk -v a="$on_rate" -v b="$off_rate" 'BEGIN { printf "%.2f", a / b }')" ""
down

table=$(
  printf '| what | measured | promised |\n|---|---|---|\n'
  printf '%s\n' "${rows[@]}"
  printf '\nTaken by \x60make bench\x60 on %s: %s cores, %s, commit %s.\n' \
    "$(date -u +%F)" "$(nproc)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(git -C "$root" rev-parse --short HEAD)"
)
printf '%s\n' "$table"
if [ "${1:-}" = --write ]; then
  document=$root/docs/PERFORMANCE.md
  awk -v table="$table" '
    /<!-- bench:begin -->/ { print; print table; skip = 1 }
    /<!-- bench:end -->/ { skip = 0 }
    !skip || /<!-- bench:begin -->/ && 0 { print }
  ' "$document" >"$document.new"
  mv "$document.new" "$document"
  note "written to docs/PERFORMANCE.md"
fi

#!/usr/bin/env bash
# Takes the numbers of trading for docs/PERFORMANCE.md: what TradingView waits for, what traders wait for, how many signals
# are carried out, and that none is lost or sent twice. As bench.sh, which `make bench` calls before this.
#
#   scripts/bench-alerts.sh [--write]
set -euo pipefail
marks=bench:alerts command='make bench'
# shellcheck source=scripts/bench-common.sh
. "$(dirname "$0")/bench-common.sh"

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
# answers <engine>: what TradingView waits for, whether or not the exchange is there.
answers() {
  local report
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
}
# flood <engine>: how much is carried out, and that nothing is lost or sent twice.
flood() {
  local report from sent took
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
up
answers SQLite
flood SQLite
down
if [ -n "$postgresql_programs" ]; then
  postgresql_start
  export DATABASE_URL="postgres://bench@localhost/bench?host=$postgresql_folder"
  up
  answers PostgreSQL
  flood PostgreSQL
  down
  # Each answer waits for one commit, and that for the disk. Whatever is slower above than here is the disk's.
  if [ -w /dev/shm ]; then
    postgresql_stop
    rm -rf "$postgresql_folder"
    postgresql_folder=$(mktemp -d /dev/shm/ct-bench-pg.XXXXXX)
    postgresql_start
    export DATABASE_URL="postgres://bench@localhost/bench?host=$postgresql_folder"
    up
    answers 'PostgreSQL with its files in memory'
    down
  fi
else
  note "there is no PostgreSQL here (initdb neither on PATH nor in /usr/lib/postgresql): its rows are left out"
fi
publish "$@"

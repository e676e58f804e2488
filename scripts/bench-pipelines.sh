#!/usr/bin/env bash
# Takes the numbers of pipelines for docs/PERFORMANCE.md: how fast a signal finds its pipelines among very many and what
# they take of memory, signals and executions a second on each engine, and from a signal to the order. As bench.sh, which
# `make bench` calls before this.
#
#   scripts/bench-pipelines.sh [--write]
set -euo pipefail
marks=bench:pipelines command='make bench'
# shellcheck source=scripts/bench-common.sh
. "$(dirname "$0")/bench-common.sh"
pipelines=http://127.0.0.1:${PIPELINE_PORT:-8001}
generator=http://127.0.0.1:${GENERATOR_PORT:-8003}
dispatcher=http://127.0.0.1:${DISPATCHER_PORT:-8004}
# What examples do is not measured. The queue is looked at as often as a test would.
export PIPELINE_EXAMPLES=false
example() { (cd "$root" && cargo run --quiet --release --locked -p pipeline --example "$@"); }
json=(-H 'Content-Type: application/json')

# pipeline <body>: makes it.
pipeline() { curl -sSf "${json[@]}" -d "$1" "$pipelines/v1/pipelines" >/dev/null; }
# Waits until trigger-dispatcher has looked at the pipelines since.
heeded() {
  local since
  since=$(date -u +%FT%T.%6NZ)
  until curl -sSf "$dispatcher/v1/dispatcher" | jq -e --arg since "$since" '.pipelines.refreshed_at > $since' >/dev/null; do sleep 0.1; done
}
control() { process-compose process "$@" -U -u "$socket" >/dev/null; }
# metric <url> <name>: the sum of its series.
metric() { curl -sSf "$1/metrics" | awk -v name="$2" '{ split($1, part, "{") } part[1] == name { sum += $NF } END { printf "%.0f\n", sum }'; }
signal_of() { curl -sSf "${json[@]}" -d "{\"symbol\":\"$1\",\"action\":\"$2\",\"signal_type\":\"$3\"}" "$generator/v1/signals" >/dev/null; }

# matching: the index alone, and trigger-dispatcher with as many pipelines.
matching() {
  local report before after
  report=$(example match_bench)
  row "one signal against 100,000 pipelines, few match: p50 / p99" \
    "$(jq -r '.few | [.p50_microseconds, .p99_microseconds] | map(. * 10 | round / 10 | tostring) | join(" / ")' <<<"$report") µs" "1 ms"
  row "one signal against 100,000 pipelines, of a market that $(jq -r .hot.p50_matches <<<"$report") of them wait for: p50 / p99" \
    "$(jq -r '.hot | [.p50_microseconds, .p99_microseconds] | map(. * 10 | round / 10 | tostring) | join(" / ")' <<<"$report") µs" "1 ms"
  row "the index of 100,000 pipelines, by its own count" "$(jq -r '.index_bytes / 1048576 * 10 | round / 10' <<<"$report") MiB" ""
  before=$(memory_mib trigger-dispatcher Rss)
  DATABASE_URL=sqlite://$CRYPTO_TELEMETRY_DATA/services/ example fill_pipelines 100000 >&2
  control restart trigger-dispatcher
  until curl -sSf "$dispatcher/health/ready" >/dev/null 2>&1; do sleep 0.1; done
  until [ "$(curl -sSf "$dispatcher/v1/dispatcher" | jq .pipelines.on_signals)" -ge 100000 ]; do sleep 0.2; done
  after=$(memory_mib trigger-dispatcher Rss)
  row "memory of trigger-dispatcher with none, and with 100,000 pipelines: resident" "$before MiB, $after MiB" ""
}

# through <engine>: signals a second through trigger-dispatcher, executions a second through pipeline-worker.
through() {
  local from number before count took last
  pipeline '{"name":"each mock signal","trigger":{"mode":"signal","signal_types":["mock"],"tickers":["BTCUSDT"]},"steps":[{"name":"look","agent":"market_snapshot"}]}'
  heeded
  note "signals through trigger-dispatcher on $1: 10 s of 1,000 a second, taken while it is away, then it comes"
  control stop trigger-dispatcher
  PORT=0 GENERATOR_MOCK_PER_MINUTE=60000 GENERATOR_INTERVALS=none GENERATOR_BUFFER=100000 TELEMETRY_ENABLED=false \
    DATABASE_URL=sqlite://$CRYPTO_TELEMETRY_DATA/mock/ BUS_URL=${BUS_URL:-$2} \
    timeout 14 crypto-telemetry signal-generator >"$CRYPTO_TELEMETRY_DATA/logs/mock.log" 2>&1 || true
  control start trigger-dispatcher
  until curl -sSf "$dispatcher/health/ready" >/dev/null 2>&1; do sleep 0.02; done
  from=$(now_ms) before=$(metric "$dispatcher" signals_consumed_total)
  # Until none has come for a second; what counts is when the last one did.
  count=$before last=$from
  while [ $(($(now_ms) - last)) -lt 1000 ] || [ "$count" = "$before" ]; do
    if [ $(($(now_ms) - from)) -gt 120000 ]; then note "no signal has come in two minutes"; failed=1; return; fi
    number=$(metric "$dispatcher" signals_consumed_total)
    if [ "$number" != "$count" ]; then count=$number last=$(now_ms); fi
    sleep 0.02
  done
  row "signals a second through trigger-dispatcher, $1 ($((count - before)) that waited, one pipeline for one in three of them)" \
    "$(awk -v n=$((count - before)) -v ms=$((last - from)) 'BEGIN { printf "%.0f", n * 1000 / ms }')" ""

  note "executions through pipeline-worker on $1: 600 at once"
  for number in $(seq 600); do
    printf 'url = "%s/v1/pipelines"\nheader = "Content-Type: application/json"\noutput = /dev/null\ndata = "%s"\n' "$pipelines" \
      "{\\\"name\\\":\\\"work $number\\\",\\\"trigger\\\":{\\\"mode\\\":\\\"signal\\\",\\\"signal_types\\\":[\\\"work\\\"]},\\\"steps\\\":[{\\\"name\\\":\\\"look\\\",\\\"agent\\\":\\\"market_snapshot\\\"},{\\\"name\\\":\\\"judge\\\",\\\"agent\\\":\\\"technical_analysis\\\"}]}"
    [ "$number" = 600 ] || echo next
  done >"$CRYPTO_TELEMETRY_DATA/requests"
  curl -sSf --config "$CRYPTO_TELEMETRY_DATA/requests" >/dev/null
  heeded
  before=$(metric "http://127.0.0.1:${WORKER_PORT:-8002}" pipeline_executions_total)
  from=$(now_ms)
  signal_of BTCUSDT buy work
  until [ "$(metric "http://127.0.0.1:${WORKER_PORT:-8002}" pipeline_executions_total)" -ge $((before + 600)) ]; do
    if [ $(($(now_ms) - from)) -gt 300000 ]; then note "executions still wait after five minutes"; failed=1; break; fi
    sleep 0.05
  done
  took=$(($(now_ms) - from))
  row "executions of two steps a second through one pipeline-worker, $1 (600 set off by one signal)" \
    "$(awk -v ms="$took" 'BEGIN { printf "%.0f", 600 * 1000 / ms }')" ""
}

# to_order <engine>: from a signal at signal-generator to the exchange's word that it has the order.
to_order() {
  local number
  for number in $(seq 0 9); do
    pipeline "{\"name\":\"order $number\",\"trigger\":{\"mode\":\"signal\",\"signal_types\":[\"order_$number\"]},\"steps\":[{\"name\":\"order\",\"agent\":\"place_order\",\"size\":{\"notional\":\"25\"}}]}"
  done
  heeded
  note "from a signal to the order on $1: about 10 a second for 30 s"
  for number in $(seq 0 299); do
    signal_of "$(case $((number % 3)) in 0) echo BTCUSDT ;; 1) echo ETHUSDT ;; *) echo SOLUSDT ;; esac)" \
      "$([ $((number % 2)) = 0 ] && echo buy || echo sell)" "order_$((number % 10))"
    sleep 0.085
  done
  until [ "$(curl -sSf "$pipelines/v1/executions?status=queued&limit=1" | jq '.items | length')" = 0 ] &&
    [ "$(curl -sSf "$pipelines/v1/executions?status=running&limit=1" | jq '.items | length')" = 0 ]; do sleep 0.2; done
  pages "$pipelines/v1/executions" '.items[] | select(.signal.signal_type | startswith("order_")) | [.trace_id, .signal.generated_at]' >"$CRYPTO_TELEMETRY_DATA/made"
  pages "$trading/v1/trading/orders" '.items[] | select(.submitted_at) | [.trace_id, .submitted_at]' >"$CRYPTO_TELEMETRY_DATA/ordered"
  row "from a signal to the exchange's word that it has the order, at 10 a second, $1: p50 / p99" "$(jq -n -r \
    --slurpfile made "$CRYPTO_TELEMETRY_DATA/made" --slurpfile ordered "$CRYPTO_TELEMETRY_DATA/ordered" '
    def ms: capture("^(?<second>[^.Z]+)(\\.(?<part>[0-9]+))?") | ((.second + "Z") | fromdate) * 1000 + (("0." + (.part // "0")) | tonumber) * 1000;
    ($made | map({key: .[0], value: .[1]}) | from_entries) as $at
    | [$ordered[] | select($at[.[0]]) | (.[1] | ms) - ($at[.[0]] | ms)] | sort
    | "\(.[(length - 1) / 2 | floor] | . * 10 | round / 10) / \(.[length * 0.99 | floor] | . * 10 | round / 10) ms (\(length) orders)"')" ""
}
# pages <url> <filter>: what the filter makes of every page of a list.
pages() {
  local cursor='' page
  while page=$(curl -sSf "$1?limit=100$cursor"); do
    jq -c "$2" <<<"$page"
    cursor=$(jq -r '.next_cursor // empty' <<<"$page")
    [ -n "$cursor" ] || break
    cursor="&cursor=$cursor"
  done
}

export METRICS_ENABLED=true
up
to_order SQLite
through SQLite "sqlite://$CRYPTO_TELEMETRY_DATA/services/"
down
up
matching
down
if [ -n "$postgresql_programs" ]; then
  postgresql_start
  export DATABASE_URL="postgres://bench@localhost/bench?host=$postgresql_folder"
  export BUS_URL=$DATABASE_URL
  up
  to_order PostgreSQL
  through PostgreSQL
  down
  unset DATABASE_URL BUS_URL
  export ENGINES=full
  if "$root/scripts/start-kafka.sh" --check && "$root/scripts/start-valkey.sh" --check; then
    # What is an overlay is said when the stack's environment is read.
    . "$root/scripts/stack-env.sh"
    up
    to_order 'PostgreSQL, Kafka, Redis'
    through 'PostgreSQL, Kafka, Redis' "kafka://127.0.0.1:${KAFKA_PORT:-9092}"
    down
  else
    note "Kafka or Redis is not here: their rows are left out"
  fi
else
  note "there is no PostgreSQL here (initdb neither on PATH nor in /usr/lib/postgresql): its rows are left out"
fi
publish "$@"

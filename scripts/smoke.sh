#!/usr/bin/env bash
# Asks a running stack for everything it promises, once, from outside, and says what is missing: an ask, an order through
# the chain, an alert that becomes a paper order, a signal that sets off a pipeline, their traces in Tempo, a log line in Loki, targets in Prometheus, dashboards in Grafana, a refusal without a key.
# The virtual machines of nix/tests/vm run it, and so may whoever has just deployed one.
#
#   scripts/smoke.sh                       on this machine, with the ports' variables as everywhere
#   API_KEY_FILE=/root/key scripts/smoke.sh     where the gateway asks for keys
#   GRAFANA=required scripts/smoke.sh      a Grafana that is not there is a failure; with GRAFANA_PASSWORD_FILE it logs in and
#                                          asks every data source, with GRAFANA_DASHBOARDS=<how many> it counts dashboards
set -euo pipefail

here=http://127.0.0.1
gateway=$here:${GATEWAY_PORT:-8080}
signal=$here:${SIGNAL_PORT:-8000} trading=$here:${ORDER_PORT:-5002}
generator=$here:${GENERATOR_PORT:-8003} pipelines=$here:${PIPELINE_PORT:-8001}
tempo=$here:${TEMPO_PORT:-3200} loki=$here:${LOKI_PORT:-3100}
prometheus=$here:${PROMETHEUS_PORT:-9090} grafana=$here:${GRAFANA_PORT:-3000}
limit_s=${SMOKE_TIMEOUT_S:-60}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

key=()
if [ -n "${API_KEY_FILE:-}" ]; then
  # In a file for curl, too: arguments can be seen by every user of the machine.
  printf 'header = "X-API-Key: %s"\n' "$(cat "$API_KEY_FILE")" >"$scratch/key"
  key=(--config "$scratch/key")
fi
failed=0
ok() { printf 'ok      %s\n' "$*"; }
bad() { printf 'FAILED  %s\n' "$*" >&2; failed=1; }

# get <url> [curl options…]: the body; fails on any status but 2xx.
get() { curl --silent --show-error --fail-with-body --max-time 20 "$@"; }
# within <what> <command…>: tries again until it succeeds or the time is up, then shows what was last said.
within() {
  local what=$1 end=$((SECONDS + limit_s))
  shift
  until "$@" >"$scratch/said" 2>&1; do
    if [ "$SECONDS" -ge "$end" ]; then
      bad "$what, within $limit_s s: $(tail -c 600 "$scratch/said")"
      return 1
    fi
    sleep 0.5
  done
  ok "$what"
}

# shellcheck disable=SC2317,SC2329 # called through within
answers() { get "$1" >/dev/null; }
within 'the gateway is ready' answers "$gateway/health/ready" || exit 1

# ask <symbol>: the answer of a price that is there.
# shellcheck disable=SC2317,SC2329 # called through within
ask() {
  get "${key[@]}" -H 'Content-Type: application/json' -d "{\"symbols\":[\"$1\"]}" "$gateway/api/v1/ask" >"$scratch/ask" || {
    cat "$scratch/ask"
    return 1
  }
  jq -e '.outcomes[0].answer.action | IN("BUY", "SELL", "HOLD")' "$scratch/ask"
}
if within 'an ask is answered with BUY, SELL or HOLD' ask BTCUSDT; then
  ask_trace=$(jq -r .trace_id "$scratch/ask")
fi

order='{"user_id": 1001, "user_name": "John Doe", "user_email": "john@example.com", "action": "purchase"}'
# shellcheck disable=SC2317,SC2329 # called through within
process() {
  get "${key[@]}" -H 'Content-Type: application/json' -d "$order" "$gateway/api/v1/process" >"$scratch/order" || {
    cat "$scratch/order"
    return 1
  }
  jq -e '.status == "done"' "$scratch/order"
}
if within 'an order goes through the chain' process; then
  order_trace=$(jq -r .trace_id "$scratch/order")
fi

# trace_has <id> <service…>: every service has spans in the trace.
# shellcheck disable=SC2317,SC2329 # called through within
trace_has() {
  local id=$1
  shift
  get "$tempo/api/traces/$id" >"$scratch/trace" || return 1
  local present service
  present=$(jq -r '[.. | objects | select(.key? == "service.name") | .value.stringValue] | unique | .[]' "$scratch/trace")
  for service in "$@"; do
    grep -qx "$service" <<<"$present" || { echo "no $service among ${present//$'\n'/ }"; return 1; }
  done
}
if [ -n "${ask_trace:-}" ]; then
  within 'the ask is one trace in Tempo' trace_has "$ask_trace" notifier-service market-data-service decision-service || true
fi
if [ -n "${order_trace:-}" ]; then
  within 'the order is one trace in Tempo' trace_has "$order_trace" api-gateway user-service order-service audit-service || true
fi

# An alert becomes an order at the simulated exchange; with a real one nothing is tried.
# shellcheck disable=SC2317,SC2329 # called through within
filled() {
  get "$trading/v1/trading/orders/$1" >"$scratch/filled" || return 1
  jq -e '.status == "filled" and .mode == "paper"' "$scratch/filled"
}
mode=$(get "$trading/v1/trading/state" | jq -r .mode) || mode=unknown
case $mode in
  paper)
    if get -H 'Content-Type: application/json' -d "{\"name\":\"smoke-$RANDOM-$$\"}" "$signal/v1/hooks" >"$scratch/hook"; then
      alert=$(jq -n --arg now "$(date -u +%FT%TZ)" --arg id "smoke $RANDOM $$" \
        '{ticker: "BTCUSDT", action: "buy", contracts: "0.0005", order_id: $id, timenow: $now}')
      if get -H 'Content-Type: application/json' -d "$alert" "$signal$(jq -r .path "$scratch/hook")" >"$scratch/alert"; then
        ok 'an alert of TradingView is taken'
        within 'it becomes a filled paper order' filled "$(jq -r .signal_id "$scratch/alert")" || true
        within 'the alert is one trace in Tempo' trace_has "$(jq -r .trace_id "$scratch/alert")" \
          signal-service order-service market-data-service audit-service notifier-service || true
      else
        bad "an alert of TradingView is not taken: $(cat "$scratch/alert")"
      fi
      get -X DELETE "$signal/v1/hooks/$(jq -r .id "$scratch/hook")" >/dev/null || bad 'the hook cannot be revoked'
    else
      bad "no hook can be made: $(cat "$scratch/hook")"
    fi
    ;;
  live) ok 'trading is live: no alert is sent' ;;
  *) bad "order-service does not say how it trades: $mode" ;;
esac

# A signal goes over the bus to a pipeline that looks and judges, and orders nothing.
# shellcheck disable=SC2317,SC2329 # called through within
executed() {
  get "$pipelines/v1/executions?signal_id=$1" >"$scratch/executions" || return 1
  jq -e --arg pipeline "$2" '[.items[] | select(.pipeline_id == $pipeline)] | length == 1 and .[0].status == "success"' \
    "$scratch/executions" || { cat "$scratch/executions"; return 1; }
}
# shellcheck disable=SC2317,SC2329 # called through within
heeded() {
  get "$here:${DISPATCHER_PORT:-8004}/v1/dispatcher" >"$scratch/dispatcher" || return 1
  jq -e --arg since "$1" '.pipelines.refreshed_at > $since' "$scratch/dispatcher"
}
word=smoke_$RANDOM$$
jq -n --arg name "smoke $word" --arg word "$word" '{name: $name, trigger: {mode: "signal", signal_types: [$word]},
  steps: [{name: "look", agent: "market_snapshot"}, {name: "judge", agent: "technical_analysis"}]}' >"$scratch/request"
if get -H 'Content-Type: application/json' -d @"$scratch/request" "$pipelines/v1/pipelines" >"$scratch/pipeline"; then
  pipeline=$(jq -r .pipeline_id "$scratch/pipeline")
  within 'trigger-dispatcher has read a new pipeline' heeded "$(date -u +%FT%T.%6NZ)" || true
  body=$(jq -n --arg word "$word" '{symbol: "BTCUSDT", action: "buy", signal_type: $word}')
  if get -H 'Content-Type: application/json' -d "$body" "$generator/v1/signals" >"$scratch/made"; then
    ok 'a signal is taken'
    within 'it sets off a pipeline, which is executed' executed "$(jq -r .signal.signal_id "$scratch/made")" "$pipeline" || true
    within 'the signal is one trace in Tempo' trace_has "$(jq -r .trace_id "$scratch/made")" \
      signal-generator trigger-dispatcher pipeline-worker market-data-service decision-service || true
  else
    bad "no signal can be made: $(cat "$scratch/made")"
  fi
  get -X DELETE -H "If-Match: \"$(jq -r .revision "$scratch/pipeline")\"" "$pipelines/v1/pipelines/$pipeline" >/dev/null ||
    bad 'the pipeline cannot be removed'
else
  bad "no pipeline can be made: $(cat "$scratch/pipeline")"
fi

# shellcheck disable=SC2317,SC2329 # called through within
logged() {
  get -G "$loki/loki/api/v1/query_range" --data-urlencode "query={service_name=\"$1\"} | trace_id=\"$2\"" \
    --data-urlencode since=1h >"$scratch/logs" || return 1
  jq -e '.data.result | length > 0' "$scratch/logs"
}
if [ -n "${order_trace:-}" ]; then
  within 'a log line of the order is in Loki' logged user-service "$order_trace" || true
fi

# Grafana's target is down where there is no Grafana.
# shellcheck disable=SC2317,SC2329 # called through within
targets_up() {
  get "$prometheus/api/v1/targets?state=active" >"$scratch/targets" || return 1
  jq -e --arg grafana "${GRAFANA:-optional}" '
    .data.activeTargets | map(select($grafana == "required" or .labels.job != "grafana"))
    | if length > 3 and all(.health == "up") then true else (map({job: .labels.job, health, lastError}) | error(tojson)) end
  ' "$scratch/targets"
}
within 'every target of Prometheus is up' targets_up || true
# A rule that fails to evaluate is an alert that never comes.
# shellcheck disable=SC2317,SC2329 # called through within
rules_evaluate() {
  get "$prometheus/api/v1/rules" >"$scratch/rules" || return 1
  jq -e '[.data.groups[].rules[]] | if length > 0 and all(.health == "ok") then true else
    (map(select(.health != "ok") | {name, health, lastError}) | error(tojson)) end' "$scratch/rules"
}
within 'every rule of Prometheus evaluates' rules_evaluate || true
# shellcheck disable=SC2317,SC2329 # called through within
counted() {
  get -G "$prometheus/api/v1/query" --data-urlencode 'query=sum(http_server_request_duration_seconds_count{job="user-service"})' >"$scratch/metric" || return 1
  jq -e '.data.result[0].value[1] | tonumber > 0' "$scratch/metric"
}
within "user-service's requests are counted in Prometheus" counted || true

if [ "${GRAFANA:-optional}" = required ]; then
  within 'Grafana is healthy' answers "$grafana/api/health" || true
  login=()
  if [ -n "${GRAFANA_PASSWORD_FILE:-}" ]; then
    printf 'user = "admin:%s"\n' "$(cat "$GRAFANA_PASSWORD_FILE")" >"$scratch/login"
    login=(--config "$scratch/login")
    for source in prometheus tempo loki; do
      within "Grafana reaches $source" get "${login[@]}" "$grafana/api/datasources/uid/$source/health" || true
    done
    # As many as there are files: none is left out for an error in it.
    # shellcheck disable=SC2317,SC2329 # called through within
    dashboards() {
      local found
      found=$(get "${login[@]}" "$grafana/api/search?type=dash-db&limit=5000" | jq length) || return 1
      [ "$found" -eq "$GRAFANA_DASHBOARDS" ] || { echo "$found dashboards"; return 1; }
    }
    if [ -n "${GRAFANA_DASHBOARDS:-}" ]; then within "Grafana has its $GRAFANA_DASHBOARDS dashboards" dashboards || true; fi
  fi
  code=$(curl --silent --output /dev/null --write-out '%{http_code}' --max-time 20 "$grafana/api/datasources") || code=none
  if [ "$code" = 401 ]; then ok 'Grafana lets nobody in without a login'; else bad "Grafana answers $code to nobody's question"; fi
fi

if [ -n "${API_KEY_FILE:-}" ]; then
  code=$(curl --silent --output "$scratch/refused" --write-out '%{http_code}' --max-time 20 \
    -H 'Content-Type: application/json' -d "$order" "$gateway/api/v1/process") || code=none
  if [ "$code" = 401 ]; then ok 'nobody is served without a key'; else bad "the gateway answers $code without a key: $(cat "$scratch/refused")"; fi
fi

[ "$failed" -eq 0 ] || exit 1
echo 'smoke: all is there'

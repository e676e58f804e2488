#!/usr/bin/env bash
# Tests which secrets and addresses each process of process-compose.yaml gets, by running the file with programs that
# only write down their environment. No port is used.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.build/bin:$PATH"

scratch=$(mktemp -d)
socket=$scratch/pc.sock
process_compose=$(command -v process-compose)
export PROC_COMP_CONFIG=$scratch
fail() { printf 'test-environment: %s\n' "$*" >&2; exit 1; }
# shellcheck disable=SC2317,SC2329 # called by the trap
finish() {
  stop || true
  rm -rf "$scratch"
}
trap finish EXIT
stop() {
  [ -S "$socket" ] || return 0
  local said
  # It answers before it has ended, or ends before it has answered; the next one wants the same socket.
  said=$("$process_compose" down -U -u "$socket" -L "$scratch/client.log" 2>&1) && said=
  for _ in $(seq 200); do
    [ -S "$socket" ] || return 0
    sleep 0.05
  done
  fail "process-compose has not ended${said:+ ($said)}: $(tail -n 3 "$scratch/process-compose.log")"
}

mkdir "$scratch/bin"
cat >"$scratch/bin/fake" <<'FAKE'
#!/bin/sh
# Written under another name first, so that a file that is there is whole.
env >"$SEEN/$PC_PROC_NAME.new" && mv "$SEEN/$PC_PROC_NAME.new" "$SEEN/$PC_PROC_NAME"
exec sleep 600
FAKE
chmod +x "$scratch/bin/fake"
for program in alertmanager prometheus tempo loki otelcol grafana crypto-telemetry; do ln -s fake "$scratch/bin/$program"; done
# start-grafana.sh looks for this beside the program.
mkdir -p "$scratch/share/grafana/conf" && touch "$scratch/share/grafana/conf/defaults.ini"

processes=(alertmanager prometheus tempo loki otelcol grafana simulator market-data-service decision-service notifier-service
  audit-service order-service user-service signal-service pipeline-service pipeline-worker
  trigger-dispatcher signal-generator api-gateway)

overlay=()
# with <scenario> [NAME=value…]: starts everything with these variables and waits until each process has written.
with() {
  scenario=$1
  shift
  seen=$scratch/$scenario
  mkdir "$seen"
  # --no-deps: nobody waits for a fake to become healthy. env -i: this machine's variables stay out of it.
  env -i PATH="$scratch/bin:$PATH" HOME="$scratch" SEEN="$seen" CRYPTO_TELEMETRY_ROOT="$PWD" CRYPTO_TELEMETRY_DATA="$scratch/data" \
    PROC_COMP_CONFIG="$PROC_COMP_CONFIG" "$@" "$process_compose" up "${processes[@]}" -f process-compose.yaml ${overlay[@]+"${overlay[@]}"} --disable-dotenv --no-deps -D -t=false \
    -U -u "$socket" -L "$scratch/process-compose.log" >/dev/null
  local process
  for process in "${processes[@]}"; do
    for _ in $(seq 200); do
      [ ! -f "$seen/$process" ] || continue 2
      sleep 0.05
    done
    fail "$scenario: $process did not start: $(tail -n 5 "$scratch/data/logs/$process.log")"
  done
  stop
}

# has <process> <NAME=value | NAME for "is not set">
has() {
  local got
  case $2 in
    *=*) grep -qxF -- "$2" "$seen/$1" || fail "$scenario: $1 has $(grep "^${2%%=*}=" "$seen/$1" || echo "no ${2%%=*}"), want $2" ;;
    *) if got=$(grep "^$2=" "$seen/$1"); then fail "$scenario: $1 has $got, want none"; fi ;;
  esac
}

# only <secret's value> <process…>: in the environment of these and of no other.
only() {
  local value=$1 process
  shift
  for process in "${processes[@]}"; do
    case " $* " in
      *" $process "*) grep -qF -- "$value" "$seen/$process" || fail "$scenario: $process did not get $value" ;;
      *) if grep -F -- "$value" "$seen/$process"; then fail "$scenario: $process got $value"; fi ;;
    esac
  done
}

with nothing-set
has notifier-service TELEGRAM_BOT_TOKEN=424242:simulator-token
has notifier-service TELEGRAM_API_URL=http://127.0.0.1:8090
has notifier-service TELEGRAM_ALLOWED_USER_IDS=1001
has notifier-service TELEGRAM_ADMIN_USER_IDS=1001
has simulator TELEGRAM_BOT_TOKEN=424242:simulator-token
has decision-service LLM_API_KEY=simulator
has decision-service LLM_BASE_URL=http://127.0.0.1:8090
has prometheus TELEGRAM_BOT_TOKEN
has alertmanager TELEGRAM_BOT_TOKEN
has notifier-service LLM_API_KEY
has decision-service TELEGRAM_BOT_TOKEN

with real-telegram-and-model TELEGRAM_API_URL=https://api.telegram.org TELEGRAM_BOT_TOKEN=1:real-token \
  TELEGRAM_WEBHOOK_SECRET=real-webhook-secret LLM_BASE_URL=https://api.openai.com LLM_API_KEY=real-key
only 1:real-token notifier-service
only real-webhook-secret notifier-service
only real-key decision-service
has simulator TELEGRAM_BOT_TOKEN=424242:simulator-token
has notifier-service TELEGRAM_ALLOWED_USER_IDS
has notifier-service TELEGRAM_ADMIN_USER_IDS

with real-from-files TELEGRAM_API_URL=https://api.telegram.org/ TELEGRAM_BOT_TOKEN_FILE=/a/token TELEGRAM_ALLOWED_USER_IDS=7 \
  TELEGRAM_WEBHOOK_SECRET_FILE=/a/secret LLM_BASE_URL=https://api.openai.com LLM_API_KEY_FILE=/a/key
only /a/token notifier-service
only /a/secret notifier-service
only /a/key decision-service
has notifier-service TELEGRAM_BOT_TOKEN
has notifier-service TELEGRAM_ALLOWED_USER_IDS=7
has decision-service LLM_API_KEY

has user-service "DATABASE_URL=sqlite://$scratch/data/services/"
has trigger-dispatcher "BUS_URL=sqlite://$scratch/data/services/"
has pipeline-service PIPELINE_EXAMPLES_ORDERS=true

with database-by-url DATABASE_URL=postgres://somebody:db-password@127.0.0.1/crypto API_KEYS_FILE=/a/keys
with_database=(user-service order-service audit-service notifier-service signal-service pipeline-service pipeline-worker
  trigger-dispatcher signal-generator)
only db-password "${with_database[@]}"
only /a/keys api-gateway

with database-by-file DATABASE_URL_FILE=/a/database-url
only /a/database-url "${with_database[@]}"
has order-service DATABASE_URL

with real-exchange TRADING_MODE=live BINGX_API_URL=https://open-api.bingx.com BINGX_API_KEY_FILE=/a/bingx-key BINGX_SECRET_KEY=bingx-secret
only /a/bingx-key order-service
only bingx-secret order-service
has order-service TRADING_MODE=live

# Real keys never go to the simulated exchange.
with simulated-exchange BINGX_API_KEY=bingx-key BINGX_SECRET_KEY_FILE=/a/bingx-secret
only bingx-key
only /a/bingx-secret
has order-service BINGX_API_URL=http://127.0.0.1:8090

with hooks-from-elsewhere SIGNAL_ADMIN_KEY=admin-key SIGNAL_ADMIN_KEY_FILE=/a/admin-key
only admin-key signal-service
only /a/admin-key signal-service

with another-bus BUS_URL=kafka://bus-host:9092 BUS_KAFKA_SASL_PASSWORD_FILE=/a/sasl-password
only bus-host signal-service trigger-dispatcher signal-generator
only /a/sasl-password signal-service trigger-dispatcher signal-generator

with bus-by-file BUS_URL_FILE=/a/bus-url
only /a/bus-url signal-service trigger-dispatcher signal-generator
has signal-generator BUS_URL

with a-cache REDIS_URL=redis://:cache-password@127.0.0.1:6379
only cache-password market-data-service user-service signal-service trigger-dispatcher

with a-cloud AWS_SECRET_ACCESS_KEY=aws-secret
only aws-secret otelcol tempo loki

# What pipelines order is filled by the simulator, or not ordered by examples at all.
with no-real-examples BINGX_API_URL=https://open-api.bingx.com
has pipeline-service PIPELINE_EXAMPLES_ORDERS=false

with real-telegram-without-token TELEGRAM_API_URL=https://api.telegram.org
has notifier-service TELEGRAM_BOT_TOKEN

# The simulated bot, its user and its model's key as somebody wants them: simulator and services know the same.
with simulated-as-wanted TELEGRAM_API_URL=http://127.0.0.1:18090 SIMULATOR_PORT=18090 TELEGRAM_BOT_TOKEN_FILE=/a/token \
  LLM_API_KEY=a-key TELEGRAM_ALLOWED_USER_IDS=1002
only /a/token notifier-service simulator
only a-key decision-service simulator
has notifier-service TELEGRAM_ALLOWED_USER_IDS=1002
has notifier-service TELEGRAM_ADMIN_USER_IDS=1002
has simulator TELEGRAM_BOT_TOKEN

# ENGINES=full: each engine's address where it is used, and nowhere else.
overlay=(-f process-compose.full.yaml)
with full-engines POSTGRESQL_SOCKET_DIR=/a/socket POSTGRESQL_SOCKET_HOST=%2Fa%2Fsocket VALKEY_SOCKET=/a/valkey KAFKA_PORT=19092
only DATABASE_URL=postgres://crypto_telemetry@%2Fa%2Fsocket/crypto_telemetry user-service order-service audit-service notifier-service \
  signal-service signal-generator pipeline-service pipeline-worker trigger-dispatcher
only BUS_URL=kafka://127.0.0.1:19092 signal-service signal-generator trigger-dispatcher
only REDIS_URL=unix:///a/valkey market-data-service user-service signal-service trigger-dispatcher

#!/usr/bin/env bash
# Tests render-prometheus.sh: every target follows its variable, also where one stack's port is another's
# default, and a port without a variable is an error rather than a target that stays behind.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.build/bin:$PATH"
# What is tested here is set here.
for name in $(compgen -e | grep -E '_PORT$|^PROMETHEUS_'); do unset "$name"; done

fail() { printf 'test-render-prometheus: %s\n' "$*" >&2; exit 1; }
targets() { grep -o '127\.0\.0\.1:[0-9]*' | sort -u | tr '\n' ' '; }

# 8889 and 8888 change places: replacing one after the other would make both the same.
got=$(OTELCOL_PROM_PORT=8888 OTELCOL_SELF_PORT=8889 TEMPO_PORT=20003 LOKI_PORT=20004 PROMETHEUS_PORT=20005 GRAFANA_PORT=20006 \
  ALERTMANAGER_PORT=20007 \
  scripts/render-prometheus.sh prometheus/prometheus.yml | targets)
want='127.0.0.1:20003 127.0.0.1:20004 127.0.0.1:20005 127.0.0.1:20006 127.0.0.1:20007 127.0.0.1:8888 127.0.0.1:8889 '
[ "$got" = "$want" ] || fail "prometheus.yml: got $got, want $want"

swapped=$(OTELCOL_PROM_PORT=8888 OTELCOL_SELF_PORT=8889 scripts/render-prometheus.sh prometheus/prometheus.yml |
  sed -n '/job_name: applications/,/targets/p' | targets)
[ "$swapped" = '127.0.0.1:8888 ' ] || fail "the job applications got $swapped, want 127.0.0.1:8888"

got=$(MARKET_DATA_PORT=1 DECISION_PORT=2 NOTIFIER_PORT=3 SIMULATOR_PORT=4 PROMETHEUS_PORT=5 GATEWAY_PORT=6 USER_PORT=7 \
  ORDER_PORT=8 AUDIT_PORT=9 ALERTMANAGER_PORT=10 SIGNAL_PORT=11 PIPELINE_PORT=12 WORKER_PORT=13 GENERATOR_PORT=14 DISPATCHER_PORT=15 \
  scripts/render-prometheus.sh prometheus/native-scrape.yml | targets)
want='127.0.0.1:1 127.0.0.1:10 127.0.0.1:11 127.0.0.1:12 127.0.0.1:13 127.0.0.1:14 127.0.0.1:15 127.0.0.1:2 127.0.0.1:3 127.0.0.1:4 127.0.0.1:5 127.0.0.1:6 127.0.0.1:7 127.0.0.1:8 127.0.0.1:9 '
[ "$got" = "$want" ] || fail "native-scrape.yml: got $got, want $want"

intervals=$(PROMETHEUS_SCRAPE_INTERVAL=2s scripts/render-prometheus.sh prometheus/prometheus.yml | grep -c '_interval: 2s$')
[ "$intervals" = 2 ] || fail "PROMETHEUS_SCRAPE_INTERVAL changed $intervals lines, want 2"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
scratch=$folder/rendered.yml
echo '      - targets: ["127.0.0.1:1234"]' >"$scratch"
if scripts/render-prometheus.sh "$scratch" >/dev/null 2>&1; then
  fail 'a port that has no variable was let through'
fi

# Remote write: Prometheus itself has to understand it, and nothing half said may get through.
remote_write() { env "$@" scripts/render-prometheus.sh prometheus/prometheus.yml >"$scratch"; }
remote_write_is() {
  local want=$1
  shift
  remote_write "$@" || fail "$* was refused"
  promtool check config --syntax-only "$scratch" >"$folder/promtool" 2>&1 || fail "promtool refuses it with $*: $(cat "$folder/promtool")"
  sed -n '/^remote_write:/,$p' "$scratch" | diff <(printf '%s' "$want") - || fail "remote_write with $* (left: wanted)"
}
address=PROMETHEUS_REMOTE_WRITE_URL=https://metrics.example.org/api/v1/push
begin="remote_write:
  - url: 'https://metrics.example.org/api/v1/push'
    send_exemplars: true
"
printf 'secret' >"$folder/it's a secret"
remote_write_is '' A=1
remote_write_is "$begin" "$address"
remote_write_is "$begin    basic_auth:
      username: 'me'
      password_file: '$folder/it''s a secret'
" "$address" PROMETHEUS_REMOTE_WRITE_USERNAME=me "PROMETHEUS_REMOTE_WRITE_PASSWORD_FILE=$folder/it's a secret"
remote_write_is "$begin    authorization:
      credentials_file: '$PWD/README.md'
" "$address" PROMETHEUS_REMOTE_WRITE_TOKEN_FILE=README.md

refused() { if remote_write "$@" 2>/dev/null; then fail "$* was let through"; fi; }
refused PROMETHEUS_REMOTE_WRITE_URL=metrics.example.org
refused PROMETHEUS_REMOTE_WRITE_URL=https://me:secret@metrics.example.org
refused PROMETHEUS_REMOTE_WRITE_TOKEN_FILE=README.md
refused "$address" PROMETHEUS_REMOTE_WRITE_USERNAME=me
refused "$address" PROMETHEUS_REMOTE_WRITE_PASSWORD_FILE=README.md
refused "$address" PROMETHEUS_REMOTE_WRITE_TOKEN_FILE=/no/such/file
refused "$address" PROMETHEUS_REMOTE_WRITE_TOKEN_FILE=README.md PROMETHEUS_REMOTE_WRITE_USERNAME=me PROMETHEUS_REMOTE_WRITE_PASSWORD_FILE=README.md

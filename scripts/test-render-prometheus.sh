#!/usr/bin/env bash
# Tests render-prometheus.sh: every target follows its variable, also where one stack's port is another's
# default, and a port without a variable is an error rather than a target that stays behind.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'test-render-prometheus: %s\n' "$*" >&2; exit 1; }
targets() { grep -o '127\.0\.0\.1:[0-9]*' | sort -u | tr '\n' ' '; }

# 8889 and 8888 change places: replacing one after the other would make both the same.
got=$(OTELCOL_PROM_PORT=8888 OTELCOL_SELF_PORT=8889 TEMPO_PORT=20003 LOKI_PORT=20004 PROMETHEUS_PORT=20005 GRAFANA_PORT=20006 \
  scripts/render-prometheus.sh prometheus/prometheus.yml | targets)
want='127.0.0.1:20003 127.0.0.1:20004 127.0.0.1:20005 127.0.0.1:20006 127.0.0.1:8888 127.0.0.1:8889 '
[ "$got" = "$want" ] || fail "prometheus.yml: got $got, want $want"

swapped=$(OTELCOL_PROM_PORT=8888 OTELCOL_SELF_PORT=8889 scripts/render-prometheus.sh prometheus/prometheus.yml |
  sed -n '/job_name: applications/,/targets/p' | targets)
[ "$swapped" = '127.0.0.1:8888 ' ] || fail "the job applications got $swapped, want 127.0.0.1:8888"

got=$(MARKET_DATA_PORT=1 DECISION_PORT=2 NOTIFIER_PORT=3 SIMULATOR_PORT=4 PROMETHEUS_PORT=5 \
  scripts/render-prometheus.sh prometheus/native-scrape.yml | targets)
want='127.0.0.1:1 127.0.0.1:2 127.0.0.1:3 127.0.0.1:4 127.0.0.1:5 '
[ "$got" = "$want" ] || fail "native-scrape.yml: got $got, want $want"

intervals=$(PROMETHEUS_SCRAPE_INTERVAL=2s scripts/render-prometheus.sh prometheus/prometheus.yml | grep -c '_interval: 2s$')
[ "$intervals" = 2 ] || fail "PROMETHEUS_SCRAPE_INTERVAL changed $intervals lines, want 2"

scratch=$(mktemp)
trap 'rm -f "$scratch"' EXIT
echo '      - targets: ["127.0.0.1:1234"]' >"$scratch"
if scripts/render-prometheus.sh "$scratch" >/dev/null 2>&1; then
  fail 'a port that has no variable was let through'
fi

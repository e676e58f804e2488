#!/usr/bin/env bash
# Writes a Prometheus configuration with this machine's ports to standard output.
#
#   scripts/render-prometheus.sh prometheus/prometheus.yml > .data/prometheus/prometheus.yml
#
# Prometheus expands variables neither in targets nor in paths. The committed file therefore has the default
# ports, and this replaces each `127.0.0.1:<default>` by the value of its variable, and makes the relative
# rule_files absolute, because the result lies in another folder. PROMETHEUS_SCRAPE_INTERVAL replaces the
# global intervals.
set -euo pipefail

source_file=${1:?usage: render-prometheus.sh <file>}
rules_dir=$(cd "$(dirname "$source_file")" && pwd)

awk -v rules="$rules_dir" -v interval="${PROMETHEUS_SCRAPE_INTERVAL:-15s}" -v ports="\
8889=${OTELCOL_PROM_PORT:-8889} 8888=${OTELCOL_SELF_PORT:-8888} 3200=${TEMPO_PORT:-3200} 3100=${LOKI_PORT:-3100} \
9090=${PROMETHEUS_PORT:-9090} 3000=${GRAFANA_PORT:-3000} 8081=${MARKET_DATA_PORT:-8081} \
8082=${DECISION_PORT:-8082} 9000=${NOTIFIER_PORT:-9000} 8090=${SIMULATOR_PORT:-8090}" '
  function interval_of(text) {
    return substr(text, 1, index(text, ":")) " " interval
  }
  BEGIN {
    for (n = split(ports, pairs, " "); n > 0; n--) {
      split(pairs[n], pair, "=")
      port_for[pair[1]] = pair[2]
    }
  }
  # Each address is replaced once, from left to right: replacing port by port could replace a replacement.
  {
    rest = $0
    line = ""
    while (match(rest, /127\.0\.0\.1:[0-9]+/)) {
      default_port = substr(rest, RSTART + 10, RLENGTH - 10)
      if (!(default_port in port_for)) {
        printf "render-prometheus: %s:%d has port %s, for which there is no variable\n", FILENAME, FNR, default_port > "/dev/stderr"
        exit 1
      }
      line = line substr(rest, 1, RSTART - 1) "127.0.0.1:" port_for[default_port]
      rest = substr(rest, RSTART + RLENGTH)
    }
    line = line rest
    sub(/^  (scrape|evaluation)_interval: 15s$/, interval_of(line), line)
    sub(/^  - rules\//, "  - " rules "/rules/", line)
    print line
  }
' "$source_file"

#!/usr/bin/env bash
# Writes a Prometheus configuration with this machine's ports to standard output.
#
#   scripts/render-prometheus.sh prometheus/prometheus.yml > .data/prometheus/prometheus.yml
#
# Prometheus expands variables neither in targets nor in paths. The committed file therefore has the default
# ports, and this replaces each `127.0.0.1:<default>` by the value of its variable, and makes the relative
# rule_files absolute, because the result lies in another folder. PROMETHEUS_SCRAPE_INTERVAL replaces the
# global intervals, and PROMETHEUS_RULES_DIR the folder of the rules.
#
# PROMETHEUS_REMOTE_WRITE_URL adds a remote_write of everything to that address, with exemplars. Its credentials are
# in files, so that no secret stands in a configuration: PROMETHEUS_REMOTE_WRITE_USERNAME together with
# PROMETHEUS_REMOTE_WRITE_PASSWORD_FILE, or PROMETHEUS_REMOTE_WRITE_TOKEN_FILE (a bearer token).
set -euo pipefail

source_file=${1:?usage: render-prometheus.sh <file>}
die() { printf 'render-prometheus: %s\n' "$*" >&2; exit 1; }

remote_write_url=${PROMETHEUS_REMOTE_WRITE_URL:-}
remote_write_user=${PROMETHEUS_REMOTE_WRITE_USERNAME:-}
remote_write_password=${PROMETHEUS_REMOTE_WRITE_PASSWORD_FILE:-}
remote_write_token=${PROMETHEUS_REMOTE_WRITE_TOKEN_FILE:-}

# Refused before anything is written: half a configuration would be one, too.
if [ -z "$remote_write_url" ]; then
  [ -z "$remote_write_user$remote_write_password$remote_write_token" ] ||
    die 'PROMETHEUS_REMOTE_WRITE_* has credentials, but PROMETHEUS_REMOTE_WRITE_URL is not set'
else
  case $remote_write_url in
    *://*@*) die 'PROMETHEUS_REMOTE_WRITE_URL has credentials in it: put them into PROMETHEUS_REMOTE_WRITE_USERNAME and _PASSWORD_FILE' ;;
    http://?* | https://?*) ;;
    *) die 'PROMETHEUS_REMOTE_WRITE_URL has to begin with http:// or https://' ;;
  esac
  if [ -n "$remote_write_token" ] && [ -n "$remote_write_user$remote_write_password" ]; then
    die 'PROMETHEUS_REMOTE_WRITE_TOKEN_FILE or _USERNAME with _PASSWORD_FILE, not both'
  fi
  if { [ -n "$remote_write_user" ] && [ -z "$remote_write_password" ]; } ||
    { [ -z "$remote_write_user" ] && [ -n "$remote_write_password" ]; }; then
    die 'PROMETHEUS_REMOTE_WRITE_USERNAME and PROMETHEUS_REMOTE_WRITE_PASSWORD_FILE go together'
  fi
  # Prometheus reads it at the first sample and would only log that it cannot.
  for file in "$remote_write_password" "$remote_write_token"; do
    [ -z "$file" ] || [ -r "$file" ] || die "PROMETHEUS_REMOTE_WRITE_*_FILE: $file cannot be read"
  done
fi

quoted() { printf "'%s'" "${1//\'/\'\'}"; }
# Prometheus takes a file name as relative to its configuration, which lies in another folder.
quoted_path() { case $1 in /*) quoted "$1" ;; *) quoted "$PWD/$1" ;; esac; }

remote_write() {
  printf '\n# From PROMETHEUS_REMOTE_WRITE_URL.\nremote_write:\n  - url: %s\n    send_exemplars: true\n' "$(quoted "$remote_write_url")"
  if [ -n "$remote_write_token" ]; then
    printf '    authorization:\n      credentials_file: %s\n' "$(quoted_path "$remote_write_token")"
  elif [ -n "$remote_write_user" ]; then
    printf '    basic_auth:\n      username: %s\n      password_file: %s\n' \
      "$(quoted "$remote_write_user")" "$(quoted_path "$remote_write_password")"
  fi
}

rules_dir=${PROMETHEUS_RULES_DIR:-$(cd "$(dirname "$source_file")" && pwd)/rules}
case $rules_dir in /*) ;; *) rules_dir=$PWD/$rules_dir ;; esac

awk -v rules="$rules_dir" -v interval="${PROMETHEUS_SCRAPE_INTERVAL:-15s}" -v ports="\
8889=${OTELCOL_PROM_PORT:-8889} 8888=${OTELCOL_SELF_PORT:-8888} 3200=${TEMPO_PORT:-3200} 3100=${LOKI_PORT:-3100} \
9090=${PROMETHEUS_PORT:-9090} 9093=${ALERTMANAGER_PORT:-9093} 3000=${GRAFANA_PORT:-3000} 8081=${MARKET_DATA_PORT:-8081} \
8082=${DECISION_PORT:-8082} 8000=${SIGNAL_PORT:-8000} 8001=${PIPELINE_PORT:-8001} 8002=${WORKER_PORT:-8002} \
8003=${GENERATOR_PORT:-8003} 8004=${DISPATCHER_PORT:-8004} 9000=${NOTIFIER_PORT:-9000} 8080=${GATEWAY_PORT:-8080} \
5001=${USER_PORT:-5001} 5002=${ORDER_PORT:-5002} 5003=${AUDIT_PORT:-5003} 8090=${SIMULATOR_PORT:-8090}" '
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
    sub(/^  - rules\//, "  - " rules "/", line)
    print line
  }
' "$source_file"
[ -z "$remote_write_url" ] || remote_write

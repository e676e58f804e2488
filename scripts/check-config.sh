#!/usr/bin/env bash
# Has every program check its own configuration, strictly, with nothing started. `make check-config`.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.build/bin:$PATH"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# check <what> <command…>: one line when it is well, else everything the program says.
check() {
  local what=$1
  shift
  if "$@" >"$scratch/output" 2>&1; then
    printf 'ok      %s\n' "$what"
  else
    printf 'FAILED  %s: %s\n' "$what" "$*" >&2
    cat "$scratch/output" >&2
    failed=1
  fi
}

# shellcheck disable=SC2317,SC2329 # called through check
rendered_is_valid() { scripts/render-prometheus.sh "$1" >"$2" && promtool check config "$2"; }

export OTELCOL_DATA_DIR=$scratch/otelcol TEMPO_DATA_DIR=$scratch/tempo LOKI_DATA_DIR=$scratch/loki
check 'Collector' otelcol validate --config otel-collector/config.yaml
check 'Collector with debug output' otelcol validate --config otel-collector/config.yaml --config otel-collector/debug.yaml
check 'Tempo' tempo -config.file=tempo/tempo.yaml -config.expand-env=true -config.verify=true
check 'Loki' loki -config.file=loki/loki.yaml -config.expand-env=true -verify-config

for file in prometheus/prometheus.yml prometheus/native-scrape.yml; do
  check "$file" promtool check config "$file"
  check "$file, rendered" rendered_is_valid "$file" "$scratch/$(basename "$file")"
  # With the default ports, rendering may change nothing but the path of the rules.
  check "$file is rendered as it is" diff <(grep -v 'rules/' "$file") <(grep -v 'rules/' "$scratch/$(basename "$file")")
done
check 'rendering moves every port' scripts/test-render-prometheus.sh

shopt -s nullglob
rules=(prometheus/rules/*.rules.yml)
[ ${#rules[@]} -eq 0 ] || check 'Prometheus rules' promtool check rules --lint=all --lint-fatal "${rules[@]}"
tests=(prometheus/rules/*.test.yml)
[ ${#tests[@]} -eq 0 ] || check 'tests of the Prometheus rules' promtool test rules "${tests[@]}"

check 'process-compose.yaml' process-compose -f process-compose.yaml --disable-dotenv --dry-run -t=false -L "$scratch/process-compose.log"

exit $failed

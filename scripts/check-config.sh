#!/usr/bin/env bash
# Has every program check its own configuration, strictly, with nothing started. `make check-config`.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.build/bin:$PATH"

# shellcheck source=scripts/checks.sh
. scripts/checks.sh

# shellcheck disable=SC2317,SC2329 # called through check
rendered_is_valid() { scripts/render-prometheus.sh "$1" >"$2" && promtool check config "$2"; }

# every_alert_is_whole <rules> <tests>: each alert has its runbook, and a test in which it fires and one in which it does not.
# shellcheck disable=SC2317,SC2329 # called through check
every_alert_is_whole() {
  local alerts alert whole=0
  alerts=$(sed -nE 's/^ *- alert: (.+)$/\1/p' "$1")
  [ -n "$alerts" ] || { echo "$1 has no alert"; return 1; }
  for alert in $alerts; do
    [ -s "docs/runbooks/$alert.md" ] || { echo "docs/runbooks/$alert.md is missing"; whole=1; }
    grep -qxE " *runbook: docs/runbooks/$alert\.md" "$1" || { echo "$alert does not name docs/runbooks/$alert.md"; whole=1; }
    grep -qE "^ *- \{eval_time: [^,]+, alertname: $alert\}\$" "$2" || { echo "$2 never expects $alert not to fire"; whole=1; }
    grep -A1 -xE " *alertname: $alert" "$2" | grep -q 'exp_alerts:' || { echo "$2 never expects $alert to fire"; whole=1; }
  done
  return "$whole"
}

# The files' own defaults are checked here, whatever this shell has set.
for name in $(compgen -e | grep -E '_PORT$|^(ALERT|ALERTMANAGER|AWS|PROMETHEUS|TEMPO|LOKI|OTELCOL)_'); do unset "$name"; done

# What process-compose.yaml sets instead of those defaults, as NAME=value.
mapfile -t development < <(sed -nE 's/^ *- "((TEMPO|LOKI|OTELCOL)_[A-Z_]+)=\$\{\1:-([^{}]*)\}"$/\1=\3/p' process-compose.yaml)
[ ${#development[@]} -gt 10 ] || { echo 'check-config: the settings of process-compose.yaml are no longer found' >&2; exit 1; }

export OTELCOL_DATA_DIR=$scratch/otelcol TEMPO_DATA_DIR=$scratch/tempo LOKI_DATA_DIR=$scratch/loki
check 'Collector' otelcol validate --config otel-collector/config.yaml
check 'Collector with debug output' otelcol validate --config otel-collector/config.yaml --config otel-collector/debug.yaml
check 'Collector as in development' env "${development[@]}" otelcol validate --config otel-collector/config.yaml

# To AWS: with invented credentials, and those of this machine out of reach.
aws=(
  AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true AWS_ACCESS_KEY_ID=invented
  AWS_SECRET_ACCESS_KEY=invented AWS_REGION=eu-central-1 AWS_AMP_WORKSPACE_ID=ws-0123 OTELCOL_OVERLAY=otel-collector/aws.yaml
)
aws_only=OTELCOL_OVERLAY='otel-collector/aws.yaml otel-collector/aws-only.yaml'
check 'Collector with AWS' env "${aws[@]}" scripts/start-otelcol.sh validate
check 'Collector with AWS and debug output' env "${aws[@]}" OTELCOL_DEBUG_CONFIG=otel-collector/debug.yaml scripts/start-otelcol.sh validate
check 'Collector with AWS only' env "${aws[@]}" "$aws_only" scripts/start-otelcol.sh validate
# refuses <part of the sentence> <command…>
# shellcheck disable=SC2317,SC2329 # called through check
refuses() {
  local sentence=$1 said
  shift
  if said=$("$@" 2>&1); then echo "it does not refuse: $said"; return 1; fi
  grep -F -- "$sentence" <<<"$said" || { echo "it does not say '$sentence', but: $said"; return 1; }
}
check 'AWS without a region is refused' refuses 'wants AWS_REGION' env "${aws[@]}" AWS_REGION= scripts/start-otelcol.sh validate
check 'AWS without a workspace is refused' refuses 'wants AWS_AMP_WORKSPACE_ID' env "${aws[@]}" AWS_AMP_WORKSPACE_ID= scripts/start-otelcol.sh validate
check 'AWS only, without AWS, is refused' refuses 'goes after' env OTELCOL_OVERLAY=otel-collector/aws-only.yaml scripts/start-otelcol.sh validate
check 'an overlay that is not there is refused' refuses 'there is no' env OTELCOL_OVERLAY=otel-collector/asw.yaml scripts/start-otelcol.sh validate
for unset in AWS_REGION AWS_AMP_WORKSPACE_ID; do
  check "the Collector itself refuses AWS without $unset" refuses 'failed to create' env "${aws[@]}" env -u "$unset" \
    otelcol validate --config otel-collector/config.yaml --config otel-collector/aws.yaml
done
# lists <file>: what stands in service, an item a line, after the pipeline and the kind of list that it is of.
# shellcheck disable=SC2317,SC2329 # called through check
lists() {
  awk '/^[a-z]/ { in_service = $1 == "service:" }
    in_service && /^    [a-z].*:$/ { pipeline = $1 }
    in_service && /: \[.*\]$/ {
      kind = $1
      items = $0
      gsub(/^[^[]*\[|\].*$/, "", items)
      count = split(items, item, /, */)
      for (i = 1; i <= count; i++) print (kind == "extensions:" ? "" : pipeline), kind, item[i]
    }' "$1" | LC_ALL=C sort
}
# The overlay's lists replace those of config.yaml: whatever config.yaml has in a list that they say again, they have, too.
# shellcheck disable=SC2317,SC2329 # called through check
overlay_only_adds() {
  local said lost
  said=$(lists "$1" | sed 's/[^ ]*$//' | sort -u)
  [ "$(wc -l <<<"$said")" -gt 4 ] || { echo "the lists of $1 are no longer found"; return 1; }
  lost=$(comm -23 <(lists otel-collector/config.yaml) <(lists "$1") | grep -F "$said") || return 0
  echo "$1 loses: $lost"
  return 1
}
check 'AWS is beside what config.yaml sends to' overlay_only_adds otel-collector/aws.yaml
check 'the Collector sends to AWS, signed, and loses nothing' scripts/test-otelcol-aws.py

tempo=(tempo -config.file=tempo/tempo.yaml -config.expand-env=true -config.verify=true)
check 'Tempo' "${tempo[@]}"
check 'Tempo as in development' env "${development[@]}" "${tempo[@]}"
s3=(S3_ENDPOINT=s3.example.com S3_REGION=eu-central-1 S3_PATH_STYLE=true)
check 'Tempo with S3' env "${s3[@]}" TEMPO_STORAGE_BACKEND=s3 TEMPO_S3_BUCKET=traces "${tempo[@]}"
loki=(loki -config.file=loki/loki.yaml -config.expand-env=true -verify-config)
check 'Loki' "${loki[@]}"
check 'Loki as in development' env "${development[@]}" "${loki[@]}"
check 'Loki with S3' env "${s3[@]}" LOKI_OBJECT_STORE=s3 LOKI_S3_BUCKET=logs "${loki[@]}"

for file in prometheus/prometheus.yml prometheus/native-scrape.yml; do
  check "$file" promtool check config "$file"
  check "$file, rendered" rendered_is_valid "$file" "$scratch/$(basename "$file")"
  # With the default ports, rendering may change nothing but the path of the rules.
  check "$file is rendered as it is" diff <(grep -v 'rules/' "$file") <(grep -v 'rules/' "$scratch/$(basename "$file")")
done
check 'rendering moves every port and adds remote write' scripts/test-render-prometheus.sh
# Its credentials are on no machine but the one that it is for.
check 'prometheus/agent.yml' promtool check config --agent --syntax-only prometheus/agent.yml
# scrapes <file>: jobs and targets, without Alertmanager, which no agent has.
scrapes() { sed -n '/^scrape_configs:/,$p' "$1" | awk -v RS= '!/job_name: alertmanager/'; }
check 'the agent scrapes what native-scrape.yml does' diff <(scrapes prometheus/native-scrape.yml) <(scrapes prometheus/agent.yml)

check 'Alertmanager' amtool check-config alertmanager/alertmanager.yml
check 'Alertmanager is rendered as it is' diff alertmanager/alertmanager.yml <(scripts/render-alertmanager.sh alertmanager/alertmanager.yml)
check 'rendering adds integrations, and alerts go where they should' scripts/test-render-alertmanager.sh

shopt -s nullglob
rules=(prometheus/rules/*.rules.yml)
[ ${#rules[@]} -eq 0 ] || check 'Prometheus rules' promtool check rules --lint=all --lint-fatal "${rules[@]}"
tests=(prometheus/rules/*.test.yml)
[ ${#tests[@]} -eq 0 ] || check 'tests of the Prometheus rules' promtool test rules "${tests[@]}"

for file in "${rules[@]}"; do
  # Recording rules alone need no runbook.
  if grep -qE '^ *- alert:' "$file"; then
    check "$file: runbooks and tests of every alert" every_alert_is_whole "$file" "${file%.rules.yml}.test.yml"
  fi
done

# Kept by hand, in one form: what changes is what a diff shows.
dashboards=(grafana/dashboards/*.json)
for file in "${dashboards[@]}"; do
  check "$file is as jq writes it" diff "$file" <(jq . "$file")
done

check 'process-compose.yaml' process-compose -f process-compose.yaml --disable-dotenv --dry-run -t=false -L "$scratch/process-compose.log"
check 'process-compose.full.yaml' env POSTGRESQL_SOCKET_DIR=/tmp/x POSTGRESQL_SOCKET_HOST=%2Ftmp%2Fx VALKEY_SOCKET=/tmp/y process-compose -f process-compose.yaml \
  -f process-compose.full.yaml --disable-dotenv --dry-run -t=false -L "$scratch/process-compose.log"
check 'every process gets its own secrets only' scripts/test-environment.sh

exit $failed

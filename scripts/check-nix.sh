#!/usr/bin/env bash
# Checks what of the flake can be checked where no nixpkgs can be fetched: every Nix file is parsed, formatted and linted, and
# what the last proof (scripts/prove-flake.sh) took out of the flake goes through the programs that will read it one day:
# units through systemd-analyze, scripts through shellcheck, configuration through promtool and amtool, the tests of the
# virtual machines through mypy. Fails when the flake is no longer the one that was proven.
#
#   scripts/check-nix.sh
#   scripts/check-nix.sh --sources    prints the checksums of everything the evaluation reads
#
# Wants nixfmt, deadnix, shellcheck, jq, systemd-analyze, mypy and the backends; nix as `nix`, or NIX_ROOT, a root folder
# with one. statix has no package outside nixpkgs: `nix flake check` runs it.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.build/bin:$PATH"
offline=nix/tests/offline
proven=$offline/proven

# What is read while the flake is evaluated, and what came out of it, so that neither is changed alone. Files that are only
# copied into the store are not among it; the text of prometheus.yml is: a unit is made of it. Cargo.lock and the crates'
# manifests are read by crane, too, but their changes are cargo's to check.
sources() {
  git ls-files flake.nix flake.lock nix Cargo.toml prometheus/prometheus.yml alertmanager/alertmanager.yml |
    grep -v '\.md$' | grep -v "^$proven/sources.sha256$" | LC_ALL=C sort | xargs -d '\n' sha256sum
  # By name only: the tests count them.
  printf '%s dashboards\n' "$(git ls-files 'grafana/dashboards/*.json' | wc -l)"
}
if [ "${1:-}" = --sources ]; then
  sources
  exit
fi

# shellcheck source=scripts/checks.sh
. scripts/checks.sh
for program in nixfmt deadnix shellcheck jq systemd-analyze mypy promtool; do
  command -v "$program" >/dev/null || { echo "check-nix: $program is not on PATH" >&2; exit 1; }
done
mapfile -t files < <(git ls-files flake.nix 'nix/*.nix')
[ ${#files[@]} -gt 20 ] || { echo 'check-nix: the Nix files are not found' >&2; exit 1; }

# shellcheck disable=SC2317,SC2329 # called through check
parse() {
  local file
  for file in "${files[@]}"; do
    scripts/in-nix-root.sh nix-instantiate --parse - <"$file" >/dev/null || { echo "$file"; return 1; }
  done
}
check "${#files[@]} Nix files can be read by Nix" parse
check 'they are formatted' nixfmt --check "${files[@]}"
check 'nothing in them is unused' deadnix --fail "${files[@]}"

# flake.lock: every input of flake.nix is there, with everything that Nix needs to fetch it and see that it is the same.
# shellcheck disable=SC2317,SC2329 # called through check
lock_is_whole() {
  local inputs
  inputs=$(sed -nE 's/^    ([a-z]+)\.url = "github:([^/]+)\/([^/"]+)\/?([^"]*)";$/\1 \2 \3 \4/p' flake.nix)
  [ -n "$inputs" ] || { echo 'flake.nix has no inputs that are understood'; return 1; }
  while read -r name owner repo ref; do
    jq -e --arg name "$name" --arg owner "$owner" --arg repo "$repo" --arg ref "$ref" '
      .version == 7 and .root == "root" and .nodes.root.inputs[$name] == $name
      and (.nodes[$name] | .original == ({type: "github", $owner, $repo} + (if $ref == "" then {} else {$ref} end))
        and .locked.type == "github" and .locked.owner == $owner and .locked.repo == $repo
        and (.locked.rev | test("^[0-9a-f]{40}$")) and (.locked.narHash | test("^sha256-[A-Za-z0-9+/]{43}=$"))
        and (.locked.lastModified | type == "number"))
    ' flake.lock >/dev/null || { echo "flake.lock does not hold the input $name as flake.nix has it"; return 1; }
  done <<<"$inputs"
  # And no more than these.
  [ "$(jq -r '.nodes | keys | length' flake.lock)" -eq "$(($(wc -l <<<"$inputs") + 1))" ]
}
check 'flake.lock is whole' lock_is_whole

if ! diff "$proven/sources.sha256" <(sources) >"$scratch/changed"; then
  echo 'FAILED  the flake is not the one that was proven: run scripts/prove-flake.sh. Changed:' >&2
  sed -nE 's/^> [^ ]+ +//p; s/^< [^ ]+ +(.*)/\1 (as proven)/p' "$scratch/changed" | sort -u >&2
  failed=1
else
  echo 'ok      the flake is the one that was proven'
fi

# Units, as systemd reads them. The programs of the store are not here: any executable stands for them.
units=$scratch/units
mkdir "$units"
mapfile -t proven_units < <(cd $proven/units && find . -name '*.service' | LC_ALL=C sort)
[ ${#proven_units[@]} -gt 20 ] || { echo 'check-nix: no proven units' >&2; exit 1; }
# shellcheck disable=SC2317,SC2329 # called through check
units_are_well() {
  local unit machine name
  for unit in "${proven_units[@]}"; do
    machine=$(basename "$(dirname "$unit")")
    name=$(basename "$unit")
    mkdir -p "$units/$machine"
    sed -E 's#^(Exec[A-Za-z]*=)("?)/nix/store/[^ "]*("?)#\1/bin/true#' "$proven/units/$unit" >"$units/$machine/$name"
  done
  for machine in "$units"/*; do
    # Other units that are named are of NixOS; only what is said of ours counts.
    SYSTEMD_UNIT_PATH=$machine:/lib/systemd/system systemd-analyze verify --man=no --recursive-errors=no "$machine"/*.service 2>&1 || return 1
  done
}
check "${#proven_units[@]} units are what systemd understands" units_are_well
# shellcheck disable=SC2317,SC2329 # called through check
units_are_shut_in() {
  local unit
  for unit in "$units"/*/*.service; do
    # In tenths: 2.0 or lower.
    systemd-analyze security --offline=true --threshold=20 --no-pager "$unit" >"$scratch/exposure" 2>&1 || {
      echo "$unit"
      cat "$scratch/exposure"
      return 1
    }
  done
}
check 'every unit has an exposure of 2.0 or lower' units_are_shut_in

# A unit that speaks to the world is not walled in, and one that does not, is.
# shellcheck disable=SC2317,SC2329 # called through check
walls_are_right() {
  local unit
  for unit in smallest/{market-data,notifier}-service everything/{decision,order}-service telemetry-elsewhere/{user,order,decision,pipeline}-service \
    database-elsewhere/{user-service,order-service,audit-service,signal-service,signal-generator,pipeline-service,pipeline-worker,trigger-dispatcher} \
    bus-elsewhere/{signal-service,signal-generator,trigger-dispatcher} kafka-here/{user-service,signal-service,trigger-dispatcher} worker/{pipeline-worker,trigger-dispatcher}; do
    if grep -q '^IPAddressDeny' "$proven/units/${unit%/*}/crypto-telemetry-${unit#*/}.service"; then
      echo "$unit cannot reach what it is for"
      return 1
    fi
  done
  for unit in everything/{api-gateway,pipeline-worker,trigger-dispatcher} \
    smallest/{api-gateway,user-service,order-service,audit-service,decision-service,signal-service,signal-generator,pipeline-service,pipeline-worker,trigger-dispatcher,simulator} \
    offline-postgresql/{market-data-service,notifier-service,user-service,signal-generator,trigger-dispatcher,simulator} offline-sqlite/order-service \
    kafka-here/{signal-generator,pipeline-worker} offline-cache/{market-data-service,user-service}; do
    grep -qx 'IPAddressDeny=any' "$proven/units/${unit%/*}/crypto-telemetry-${unit#*/}.service" || {
      echo "$unit reaches the world, with nothing to do there"
      return 1
    }
  done
}
check 'units reach what they are for, and no further' walls_are_right
# Who shares something is who has to, and nobody besides.
# shellcheck disable=SC2317,SC2329 # called through check
shared_by() {
  local machine=$1 line=$2 found
  shift 2
  found=$(cd "$proven/units/$machine" && grep -lxF -- "$line" ./*.service | sed -E 's#^\./crypto-telemetry-(.*)\.service$#\1#' | tr '\n' ' ')
  [ "$found" = "${*:+$* }" ] || { echo "$machine: '$line' is in: $found"; return 1; }
}
# shellcheck disable=SC2317,SC2329 # called through check
sharing_is_right() {
  local bus=(signal-generator signal-service trigger-dispatcher) pipelines=(pipeline-service pipeline-worker trigger-dispatcher) machine
  local cache=(market-data-service signal-service trigger-dispatcher user-service)
  for machine in offline-sqlite everything bus-elsewhere; do shared_by "$machine" User=crypto-telemetry-pipeline "${pipelines[@]}" || return 1; done
  shared_by offline-sqlite StateDirectory=crypto-telemetry-pipeline-service "${pipelines[@]}" &&
    shared_by offline-sqlite SupplementaryGroups=crypto-telemetry-bus "${bus[@]}" &&
    shared_by offline-sqlite ReadWritePaths=/var/lib/crypto-telemetry-bus "${bus[@]}" &&
    shared_by database-elsewhere LoadCredential=BUS_URL:/run/keys/database-url "${bus[@]}" &&
    shared_by bus-elsewhere LoadCredential=BUS_KAFKA_SASL_PASSWORD:/run/keys/kafka "${bus[@]}" &&
    shared_by bus-elsewhere LoadCredential=REDIS_URL:/run/keys/redis-url "${cache[@]}" &&
    shared_by offline-cache SupplementaryGroups=redis-crypto-telemetry "${cache[@]}" &&
    shared_by offline-sqlite SupplementaryGroups=redis-crypto-telemetry || return 1
  # Only where orders are on paper an example orders by itself.
  shared_by smallest 'Environment="PIPELINE_EXAMPLES_ORDERS=true"' pipeline-service &&
    shared_by everything 'Environment="PIPELINE_EXAMPLES_ORDERS=false"' pipeline-service || return 1
  # Nobody is in a group that there is no folder of.
  for machine in kafka-here everything bus-elsewhere database-elsewhere; do shared_by "$machine" SupplementaryGroups=crypto-telemetry-bus || return 1; done
}
check 'who shares a user, a folder, a group or a password has to' sharing_is_right
# shellcheck disable=SC2317,SC2329 # called through check
values_are_whole() {
  local of=$proven/units/parts-off/crypto-telemetry
  grep -qxF 'Environment="TELEMETRY_SAMPLE_RATIO=1e-07"' "$of-audit-service.service" || { echo 'a small number'; return 1; }
  grep -qxF 'Environment="DATABASE_URL=postgresql://me@%%2Frun%%2Fpostgresql/x"' "$of-user-service.service" || { echo 'a %'; return 1; }
  if grep -q '^IPAddressDeny' "$of-order-service.service"; then echo 'a database elsewhere is walled off'; return 1; fi
  if grep -nE 'job_name: (tempo|grafana|alertmanager)|^alerting:|:9093' "$proven/prometheus-parts-off.yml"; then echo 'what is off is a target'; return 1; fi
  grep -q 'job_name: loki' "$proven/prometheus-parts-off.yml" || { echo 'what is on is no target'; return 1; }
}
check 'values arrive whole, and what is off is not asked' values_are_whole

check 'the scripts of the packages' shellcheck $proven/scripts/*.sh

# The names that the test driver gives a script, with the methods that are used; what it does not have is an error here.
# shellcheck disable=SC2317,SC2329 # called through check
vm_tests_are_well() {
  local test
  mypy --strict --no-error-summary --cache-dir "$scratch/mypy" "$offline/drive.py" || return 1
  for test in "$proven"/tests/*.py; do
    cat nix/tests/vm/driver.pyi "$test" nix/tests/vm/machine.py >"$scratch/test.py"
    mypy --strict --no-error-summary --cache-dir "$scratch/mypy" "$scratch/test.py" || return 1
  done
}
check 'the scripts of the virtual machines' vm_tests_are_well

# What NixOS gives Prometheus is what scripts/render-prometheus.sh gives it elsewhere.
without_paths() { sed -E 's#^  - .*/rules/#  - rules/#' "$1"; }
check 'prometheus.yml is the same on NixOS' diff <(without_paths prometheus/prometheus.yml) <(without_paths $proven/prometheus-watched.yml)
check 'prometheus.yml is the same on NixOS, with other ports' diff \
  <(GATEWAY_PORT=18080 PROMETHEUS_PORT=19090 TEMPO_PORT=3100 LOKI_PORT=3200 scripts/render-prometheus.sh prometheus/prometheus.yml | sed -E 's#^  - .*/rules/#  - rules/#') \
  <(without_paths $proven/prometheus-other-ports.yml)
for file in "$proven"/prometheus-*.yml; do
  without_paths "$file" >"prometheus/.check-nix.yml"
  check "$file" promtool check config --syntax-only prometheus/.check-nix.yml
  rm -f prometheus/.check-nix.yml
done

# checks.configuration runs check-config.sh in these files and no others.
# shellcheck disable=SC2317,SC2329 # called through check
configuration_is_whole() {
  local listed
  mapfile -t listed < <(
    sed -nE 's#^ +\.\./([a-z.-]+)$#\1#p' nix/configuration.nix
    sed -nE '/checkedConfiguration = /,/};/s#^ +\.\./([A-Za-z./-]+)$#\1#p' nix/checks.nix
  )
  [ ${#listed[@]} -gt 8 ] || { echo 'nix/configuration.nix or nix/checks.nix is no longer understood'; return 1; }
  mkdir "$scratch/configuration"
  cp -r --parents "${listed[@]}" "$scratch/configuration"
  (cd "$scratch/configuration" && scripts/check-config.sh)
}
check 'the configuration, in the files that nix flake check takes' configuration_is_whole

# A service gets the variables on NixOS that process-compose.yaml gives it, and a backend none that its file does not read.
# shellcheck disable=SC2317,SC2329 # called through check
same_variables() {
  local unit=$proven/units/offline-postgresql process=$1 variable
  awk -v process="$process" '
    /^  [a-z-]+:$/ { at = $1 == process ":" }
    at && /^      - "[A-Z_]+=/ { sub(/^      - "/, ""); sub(/=.*/, ""); print }
  ' process-compose.yaml >"$scratch/variables"
  [ -s "$scratch/variables" ] || { echo "process-compose.yaml gives $process no variables"; return 1; }
  while read -r variable; do
    # Binance is real unless a simulator runs, as here; where it is not named the binary's default says so.
    grep -q "^Environment=\"$variable=" "$unit/crypto-telemetry-$process.service" || { echo "$process has no $variable on NixOS"; return 1; }
  done <"$scratch/variables"
}
# With the same file names, a receiver's lines are the same, too.
# shellcheck disable=SC2317,SC2329 # called through check
same_receivers() {
  local credentials=/run/credentials/alertmanager.service name
  # render-alertmanager.sh reads the files' names from where they are: here they are made, and named as on NixOS afterwards.
  for name in email opsgenie pagerduty slack telegram webhook; do echo secret >"$scratch/platform-$name"; done
  echo secret >"$scratch/escalation-pagerduty"
  env ALERT_PLATFORM_EMAIL_TO=ops@example.com ALERT_PLATFORM_EMAIL_FROM=alerts@example.com \
    ALERT_PLATFORM_EMAIL_SMARTHOST=mail.example.com:587 ALERT_PLATFORM_EMAIL_USERNAME=alerts \
    ALERT_PLATFORM_EMAIL_PASSWORD_FILE="$scratch/platform-email" ALERT_PLATFORM_OPSGENIE_API_KEY_FILE="$scratch/platform-opsgenie" \
    ALERT_PLATFORM_PAGERDUTY_ROUTING_KEY_FILE="$scratch/platform-pagerduty" ALERT_PLATFORM_SLACK_API_URL_FILE="$scratch/platform-slack" \
    ALERT_PLATFORM_SLACK_CHANNEL='#alerts' ALERT_PLATFORM_TELEGRAM_CHAT_ID=-1001234567890 \
    ALERT_PLATFORM_TELEGRAM_BOT_TOKEN_FILE="$scratch/platform-telegram" ALERT_PLATFORM_WEBHOOK_URL_FILE="$scratch/platform-webhook" \
    ALERT_ESCALATION_PAGERDUTY_ROUTING_KEY_FILE="$scratch/escalation-pagerduty" ALERT_TRADING_URL=http://127.0.0.1:5002/v1/trading/alerts \
    scripts/render-alertmanager.sh alertmanager/alertmanager.yml | sed "s#$scratch/#$credentials/#g" >"$scratch/alertmanager.yml"
  diff "$scratch/alertmanager.yml" "$proven/alertmanager-everything.yml"
}
check 'alertmanager.yml is the same on NixOS' diff alertmanager/alertmanager.yml "$proven/alertmanager-watched.yml"
check 'alertmanager.yml is the same on NixOS, with every integration' same_receivers
check "$proven/alertmanager-everything.yml" amtool check-config "$proven/alertmanager-everything.yml"

for process in api-gateway user-service order-service audit-service market-data-service decision-service notifier-service signal-service signal-generator pipeline-service trigger-dispatcher pipeline-worker simulator; do
  check "$process has the same variables" same_variables "$process"
done
# shellcheck disable=SC2317,SC2329 # called through check
variables_are_read() {
  local unit=$1 machine=everything file=$2 variable
  while read -r variable; do
    grep -qE "\\$\{?(env:)?$variable\b" "$file" || { echo "$file does not read $variable, which $unit has on NixOS"; return 1; }
  done < <(jq -r --arg unit "$unit" --arg machine "$machine" '.environments[$machine][$unit] | keys[]
    | select(test("^(PATH|LOCALE_ARCHIVE|TZDIR|HOME)$") | not)' "$proven/evaluation.json")
}
check "the Collector's variables are read" variables_are_read opentelemetry-collector otel-collector/config.yaml
check "Tempo's variables are read" variables_are_read tempo tempo/tempo.yaml
check "Loki's variables are read" variables_are_read loki loki/loki.yaml

exit $failed

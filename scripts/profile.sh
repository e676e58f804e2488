#!/usr/bin/env bash
# Draws a flame graph of one service while the business chain is under load. `make profile` calls this.
#
#   scripts/profile.sh [SERVICE] [REQUESTS_A_SECOND]     order-service, 150
#
# Wants Linux with perf (Debian: linux-perf) and `cargo install inferno`. Builds the release build anew, with the names of
# functions and frame pointers, in a target folder of its own; starts a stack with data of its own. The port variables of
# process-compose.yaml move it out of the way of one that is running.
set -euo pipefail

service=${1:-order-service}
rate=${2:-150}
for program in perf inferno-collapse-perf inferno-flamegraph curl; do
  command -v "$program" >/dev/null || {
    echo "profile: $program is not on PATH (perf: Debian's linux-perf; inferno: cargo install inferno)" >&2
    exit 1
  }
done

root=$(cd "$(dirname "$0")/.." && pwd)
CRYPTO_TELEMETRY_DATA=$(mktemp -d "${TMPDIR:-/tmp}/crypto-telemetry-profile.XXXXXX")
CARGO_TARGET_DIR=$root/target/profile
export CRYPTO_TELEMETRY_DATA CARGO_TARGET_DIR
finish() {
  "$root/scripts/down.sh" >/dev/null 2>&1 || true
  rm -rf "$CRYPTO_TELEMETRY_DATA"
}

(cd "$root" && RUSTFLAGS='-C force-frame-pointers=yes' cargo build --profile profiling --locked -p crypto-telemetry)
# The scripts that start the stack look for the binary where a release build is.
ln -sfn profiling "$CARGO_TARGET_DIR/release"
# shellcheck source=scripts/stack-env.sh
. "$root/scripts/stack-env.sh"
export LOG_LEVEL=${LOG_LEVEL:-info} RATE_LIMIT_PER_SECOND=100000 RATE_LIMIT_BURST=100000
trap finish EXIT
DETACH=1 "$root/scripts/up.sh" >&2

pid=
for found in $(pgrep -f "^crypto-telemetry $service\$" || true); do
  if grep -sqxzF "CRYPTO_TELEMETRY_DATA=$CRYPTO_TELEMETRY_DATA" "/proc/$found/environ"; then pid=$found; fi
done
[ -n "$pid" ] || { echo "profile: there is no process $service in this stack" >&2; exit 1; }

gateway=http://127.0.0.1:${GATEWAY_PORT:-8080}
crypto-telemetry load --gateway-url "$gateway" --journeys process --rate "$rate" --for 20s &
load=$!
sleep 3 # what happens once, at the beginning, is of no interest
perf record --quiet -e cpu-clock -F 2999 -p "$pid" --call-graph fp -o "$CRYPTO_TELEMETRY_DATA/perf.data" sleep 14
wait "$load" || echo "profile: at this rate requests fail; the picture is one of that" >&2
graph=$CARGO_TARGET_DIR/$service.svg
perf script -i "$CRYPTO_TELEMETRY_DATA/perf.data" 2>/dev/null | inferno-collapse-perf >"$CARGO_TARGET_DIR/$service.folded"
inferno-flamegraph --title "$service, $rate requests a second through the chain" <"$CARGO_TARGET_DIR/$service.folded" >"$graph"
echo "profile: $graph"

# shellcheck shell=bash
# What up.sh and down.sh share; sourced, not run.

CRYPTO_TELEMETRY_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CRYPTO_TELEMETRY_DATA=${CRYPTO_TELEMETRY_DATA:-$CRYPTO_TELEMETRY_ROOT/.data}
# Absolute, because every process of the stack gets it, whatever folder it runs in.
case $CRYPTO_TELEMETRY_DATA in /*) ;; *) CRYPTO_TELEMETRY_DATA=$PWD/$CRYPTO_TELEMETRY_DATA ;; esac
export CRYPTO_TELEMETRY_ROOT CRYPTO_TELEMETRY_DATA
export PATH="$CRYPTO_TELEMETRY_ROOT/.build/bin:$CRYPTO_TELEMETRY_ROOT/target/release:$PATH"

# process-compose looks for a user's themes and recipes, and complains at every start where there are none.
export PROC_COMP_CONFIG=${PROC_COMP_CONFIG:-$CRYPTO_TELEMETRY_DATA/process-compose}

# One socket a data folder. Not inside it: a socket's path may have about a hundred characters only.
# shellcheck disable=SC2034 # used by those who source this
socket=${XDG_RUNTIME_DIR:-/tmp}/crypto-telemetry-$(id -u)-$(printf '%s' "$CRYPTO_TELEMETRY_DATA" | cksum | cut -d ' ' -f 1).sock
client=(-U -u "$socket" -L "$CRYPTO_TELEMETRY_DATA/logs/process-compose-client.log")

# Waits until every process is ready (or, like grafana where there is none, has ended well).
wait_ready() {
  local limit=${READY_TIMEOUT:-60}
  if ! timeout "$limit" process-compose project is-ready --wait "${client[@]}" >/dev/null; then
    echo "up: not everything was ready after $limit s; this is how it stands:" >&2
    process-compose process list -o wide "${client[@]}" >&2
    return 1
  fi
}

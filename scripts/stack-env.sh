# shellcheck shell=bash
# What up.sh, down.sh, status.sh and clean-data.sh share; sourced, not run.

# What people type: make in a clone, the installed program where stack.sh says so.
say_down=${CRYPTO_TELEMETRY_DOWN:-make down}

CRYPTO_TELEMETRY_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CRYPTO_TELEMETRY_DATA=${CRYPTO_TELEMETRY_DATA:-$CRYPTO_TELEMETRY_ROOT/.data}
# A folder's one name: absolute, because every process of the stack gets it, whatever folder it runs in, and without
# links, dots and slashes too many, because the socket is named after it: one folder is one stack. The folder need not
# be there yet (realpath -m is not everywhere).
physical() {
  local path=$1 rest=
  case $path in /*) ;; *) path=$PWD/$path ;; esac
  while [ ! -d "$path" ]; do
    while [ "${path%/}" != "$path" ]; do path=${path%/}; done
    rest=/${path##*/}$rest
    path=${path%/*}
    path=${path:-/}
  done
  path=$(cd -P -- "$path" && pwd -P)
  printf '%s' "${path%/}$rest"
}
CRYPTO_TELEMETRY_DATA=$(physical "$CRYPTO_TELEMETRY_DATA")
export CRYPTO_TELEMETRY_ROOT CRYPTO_TELEMETRY_DATA

# Where cargo builds to, which a variable or a user's cargo configuration may say; cargo itself knows best.
target_directory() {
  local found=
  if command -v cargo >/dev/null; then
    found=$(cd "$CRYPTO_TELEMETRY_ROOT" && cargo metadata --no-deps --offline --format-version 1 2>/dev/null |
      sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p') || found=
  fi
  found=${found:-${CARGO_TARGET_DIR:-target}}
  case $found in /*) ;; *) found=$CRYPTO_TELEMETRY_ROOT/$found ;; esac
  printf '%s' "$found"
}
# In a clone the programs are those built in it; an installed stack has all of them on PATH already.
if [ -f "$CRYPTO_TELEMETRY_ROOT/Cargo.toml" ]; then
  PATH=$CRYPTO_TELEMETRY_ROOT/.build/bin:$(target_directory)/release:$PATH
  export PATH
fi

# process-compose looks for a user's themes and recipes, and complains at every start where there are none.
export PROC_COMP_CONFIG=${PROC_COMP_CONFIG:-$CRYPTO_TELEMETRY_DATA/process-compose}

# One socket a data folder. Not inside it: a socket's path may have about a hundred characters only.
sockets=${XDG_RUNTIME_DIR:-/tmp}/crypto-telemetry-$(id -u)-$(printf '%s' "$CRYPTO_TELEMETRY_DATA" | cksum | cut -d ' ' -f 1)
socket=$sockets.sock

# ENGINES=full: with PostgreSQL, Kafka and Valkey (process-compose.full.yaml).
# shellcheck disable=SC2034 # used by those who source this
overlays=()
case ${ENGINES:-} in
  '') ;;
  full)
    for engine in PostgreSQL=DATABASE_URL Kafka=BUS_URL Valkey=REDIS_URL; do
      setting=${engine#*=}
      file=${setting}_FILE
      if [ -n "${!setting:-}${!file:-}" ]; then
        echo "ENGINES=full (--full) brings a ${engine%=*} of its own, and $setting names another: one of them" >&2
        exit 64
      fi
    done
    export POSTGRESQL_SOCKET_DIR=$sockets.pg POSTGRESQL_SOCKET_HOST=${sockets//\//%2F}.pg VALKEY_SOCKET=$sockets.valkey
    # shellcheck disable=SC2034 # used by those who source this
    overlays=(-f "$CRYPTO_TELEMETRY_ROOT/process-compose.full.yaml")
    ;;
  *)
    echo "ENGINES is '$ENGINES'; it is empty or 'full'" >&2
    exit 64
    ;;
esac
client=(-U -u "$socket" -L "$CRYPTO_TELEMETRY_DATA/logs/process-compose-client.log")
# Whether a stack with this data folder runs; what a killed one left behind does not count.
running() {
  [ -S "$socket" ] || return 1
  command -v process-compose >/dev/null || {
    echo "There is a socket of a stack, $socket, and no process-compose on PATH to ask it" >&2
    exit 1
  }
  process-compose process list "${client[@]}" >/dev/null 2>&1
}

# Waits until every process is ready (or, like grafana where there is none, has ended well).
wait_ready() {
  local limit=${READY_TIMEOUT:-60}
  if ! timeout "$limit" process-compose project is-ready --wait "${client[@]}" >/dev/null; then
    echo "up: not everything was ready after $limit s; this is how it stands:" >&2
    process-compose process list -o wide "${client[@]}" >&2
    echo "up: it goes on running: 'crypto-telemetry doctor' says more, logs are in $CRYPTO_TELEMETRY_DATA/logs, '$say_down' stops it" >&2
    return 1
  fi
}

# Prints where to look, with the ports of this start.
show_addresses() {
  local here=http://127.0.0.1 binary
  # As it can be typed here: the built binary is on the PATH of these scripts only.
  binary=$(command -v crypto-telemetry)
  binary=${binary#"$PWD"/}
  cat <<ADDRESSES

  page          $here:${GATEWAY_PORT:-8080}    ask, order, and see the trace and logs of it
  API           $here:${GATEWAY_PORT:-8080}/docs/    try it; the description is at /openapi.json
  chat          $here:${SIMULATOR_PORT:-8090}    the simulated Telegram
  Prometheus    $here:${PROMETHEUS_PORT:-9090}
  Alertmanager  $here:${ALERTMANAGER_PORT:-9093}    what is wrong now, and silences
  Tempo         $here:${TEMPO_PORT:-3200}    an HTTP API; the page shows traces
  Loki          $here:${LOKI_PORT:-3100}    an HTTP API; the page shows logs
ADDRESSES
  if command -v grafana >/dev/null; then
    printf '  Grafana       %s\n' "$here:${GRAFANA_PORT:-3000}"
  else
    printf '  Grafana       not here: no grafana is on PATH\n'
  fi
  cat <<COMMANDS

  $binary ask BTCUSDT    the answer and its trace
  $binary doctor         which hop loses what, if one does
  logs in $CRYPTO_TELEMETRY_DATA/logs

COMMANDS
}

#!/usr/bin/env bash
# Starts the stack with process-compose. `make up` calls this after building; it builds nothing itself.
#
#   scripts/up.sh                  everything; the screen of process-compose on a terminal, else its log
#   DETACH=1 scripts/up.sh         in the background; comes back when everything is ready (scripts/down.sh stops it)
#   scripts/up.sh tempo loki       only these and what they depend on
set -euo pipefail
# shellcheck source=scripts/stack-env.sh
. "$(dirname "$0")/stack-env.sh"

die() { printf 'up: %s\n' "$*" >&2; exit 1; }

command -v process-compose >/dev/null || die "there is no process-compose on PATH: 'make backends' builds it in a clone"
if running; then
  die "a stack with the data folder $CRYPTO_TELEMETRY_DATA is running already: '$say_down' stops it"
fi
# What a killed process-compose left behind.
rm -f "$socket"

# Ports, tools, disk: said in a sentence before anything starts. A partial start is for whoever knows.
if [ $# -eq 0 ]; then
  command -v crypto-telemetry >/dev/null || die "there is no crypto-telemetry on PATH: 'make binary' builds it in a clone"
  crypto-telemetry preflight
fi
# Of the engines everything that is missing at once.
if [ ${#overlays[@]} -gt 0 ]; then
  missing=0
  for engine in postgresql kafka valkey; do "$CRYPTO_TELEMETRY_ROOT/scripts/start-$engine.sh" --check || missing=1; done
  [ "$missing" = 0 ] || exit 1
fi
mkdir -p "$CRYPTO_TELEMETRY_DATA/logs"
# clean-data.sh removes nothing from a folder without it.
touch "$CRYPTO_TELEMETRY_DATA/.crypto-telemetry"

options=(
  -f "$CRYPTO_TELEMETRY_ROOT/process-compose.yaml" ${overlays[@]+"${overlays[@]}"}
  # Settings come from the environment only: the preflight would not see those of a .env file.
  --disable-dotenv
  # Its own API on a socket: its default port, 8080, is the gateway's, and it binds every interface.
  -U -u "$socket"
  -L "$CRYPTO_TELEMETRY_DATA/logs/process-compose.log"
)
if [ -n "${DETACH:-}" ]; then
  # Newer ones wait 5 s for their own API and call that a failure, which on a slow machine it is not.
  if ! said=$(process-compose up "$@" "${options[@]}" -D -t=false 2>&1) && ! running; then
    die "process-compose has not started: $said"
  fi
  wait_ready
  if [ $# -eq 0 ]; then
    show_addresses
    echo "up: everything is ready; '$say_down' stops it"
  else
    echo "up: $* and what it depends on is ready; '$say_down' stops it, logs are in $CRYPTO_TELEMETRY_DATA/logs"
  fi
  exit
fi
# The screen of process-compose covers this where there is a terminal, and leaves it there at the end.
if [ $# -eq 0 ]; then
  show_addresses
  echo "up: ready in some seconds; Ctrl-C stops it"
fi
if [ -t 0 ] && [ -t 1 ]; then
  exec process-compose up "$@" "${options[@]}"
else
  exec process-compose up "$@" "${options[@]}" -t=false
fi

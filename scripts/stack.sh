#!/usr/bin/env bash
# The stack as an installed program: what `nix run` starts. It takes programs from PATH, reads its configuration from the
# folder it lies in (which may be read-only) and writes to one data folder only. --help says the rest.
set -euo pipefail

# What this is called by whoever reads its messages.
command_name=${CRYPTO_TELEMETRY_COMMAND:-$0}
here=$(cd "$(dirname "$0")" && pwd)

usage() {
  cat <<USAGE
Starts crypto-telemetry on this machine: services, Collector, Prometheus, Alertmanager, Tempo, Loki and Grafana.

Usage: $command_name [up] [--data DIR] [--full] [--detach] [PROCESS…]
       $command_name down|status|clean [--data DIR]

  up           start everything, or only the named processes and what they need; Ctrl-C stops it (the default)
  down         stop what was started with this data folder
  status       list the processes and how they are
  clean        remove what was written to this data folder

  --data DIR   where everything is written (default: \$XDG_STATE_HOME/crypto-telemetry, else
               ~/.local/state/crypto-telemetry; CRYPTO_TELEMETRY_DATA says the same)
  --full       with PostgreSQL instead of SQLite for the services, Kafka for their signals, Valkey for their cache
  --detach     in the background: comes back when everything is ready
  --help       this text

Everything listens on 127.0.0.1. Ports are variables (GATEWAY_PORT=8085 …), and so is every other setting: the services
run offline on simulated prices until you name real ones. docs/OPERATIONS.md lists them.
USAGE
}
refuse() { printf '%s: %s\n' "$command_name" "$*" >&2; exit 64; }

verb=
processes=()
while [ $# -gt 0 ]; do
  case $1 in
    --data)
      [ -n "${2:-}" ] || refuse '--data wants a folder'
      CRYPTO_TELEMETRY_DATA=$2
      shift
      ;;
    --data=) refuse '--data wants a folder' ;;
    --data=?*) CRYPTO_TELEMETRY_DATA=${1#--data=} ;;
    --full) export ENGINES=full ;;
    --detach) export DETACH=1 ;;
    -h | --help | help)
      usage
      exit 0
      ;;
    -*) refuse "there is no option $1; --help lists them" ;;
    up | down | status | clean)
      # Only the first word is a verb: no process is called like one, and two verbs are a mistake.
      [ -z "$verb" ] || refuse "$verb or $1, not both"
      verb=$1
      ;;
    *) processes+=("$1") ;;
  esac
  shift
done
verb=${verb:-up}
if [ "$verb" != up ]; then
  [ ${#processes[@]} -eq 0 ] || refuse "$verb takes no process: ${processes[*]}"
  [ -z "${DETACH:-}" ] || refuse "--detach goes with up, not with $verb"
fi

# As it has to be typed for this very stack.
again=
if [ -n "${CRYPTO_TELEMETRY_DATA:-}" ]; then
  printf -v again ' --data %q' "$CRYPTO_TELEMETRY_DATA"
else
  state=${XDG_STATE_HOME:-${HOME:+$HOME/.local/state}}
  [ -n "$state" ] || refuse 'neither HOME nor XDG_STATE_HOME is set: say where to write with --data DIR'
  CRYPTO_TELEMETRY_DATA=$state/crypto-telemetry
fi
export CRYPTO_TELEMETRY_DATA
# What the other scripts tell people to type.
export CRYPTO_TELEMETRY_DOWN="$command_name down$again"

case $verb in
  up) exec bash "$here/up.sh" ${processes[@]+"${processes[@]}"} ;;
  down) exec bash "$here/down.sh" ;;
  clean) exec bash "$here/clean-data.sh" ;;
  status) exec bash "$here/status.sh" ;;
esac

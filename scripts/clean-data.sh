#!/usr/bin/env bash
# Removes the data folder of the stack, unless a stack is running on it.
set -euo pipefail
# shellcheck source=scripts/stack-env.sh
. "$(dirname "$0")/stack-env.sh"

if running; then
  echo "clean-data: the stack is running on $CRYPTO_TELEMETRY_DATA; '$say_down' first" >&2
  exit 1
fi
# The folder is the user's to choose: only what the stack makes there is removed, and nothing of a home or a disk that was
# named by mistake. (Stacks of before the mark have the log.)
if [ -d "$CRYPTO_TELEMETRY_DATA" ] && ! [ -e "$CRYPTO_TELEMETRY_DATA/.crypto-telemetry" ] &&
  ! [ -e "$CRYPTO_TELEMETRY_DATA/logs/process-compose.log" ]; then
  echo "clean-data: no stack has written to $CRYPTO_TELEMETRY_DATA: nothing is removed" >&2
  exit 1
fi
for part in alertmanager grafana logs loki otelcol process-compose prometheus simulator tempo services postgresql kafka valkey; do
  rm -rf "${CRYPTO_TELEMETRY_DATA:?}/$part"
done
if [ -d "$CRYPTO_TELEMETRY_DATA" ]; then
  rm -f "$CRYPTO_TELEMETRY_DATA/.crypto-telemetry"
  rmdir --ignore-fail-on-non-empty "$CRYPTO_TELEMETRY_DATA"
fi
echo "clean-data: $CRYPTO_TELEMETRY_DATA is clean"

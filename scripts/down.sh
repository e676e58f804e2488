#!/usr/bin/env bash
# Stops the stack that `make up DETACH=1` (or a `make up` on another terminal) started with this data folder.
set -euo pipefail
# shellcheck source=scripts/stack-env.sh
. "$(dirname "$0")/stack-env.sh"

if [ ! -S "$socket" ]; then
  echo "down: no stack with the data folder $CRYPTO_TELEMETRY_DATA is running"
  exit 0
fi
# process-compose answers before it has ended, or ends before it has answered (EOF, then). Either way "down" means that
# it has ended and the ports are free, so its answer counts only where it goes on.
said=$(process-compose down "${client[@]}" 2>&1) && said=
for _ in $(seq 150); do
  [ -S "$socket" ] || exit 0
  sleep 0.1
done
echo "down: process-compose has not ended within 15 s${said:+ ($said)}; see $CRYPTO_TELEMETRY_DATA/logs/process-compose.log" >&2
exit 1

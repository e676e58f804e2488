#!/usr/bin/env bash
# Lists the processes of the stack with this data folder. `make status`.
set -euo pipefail
# shellcheck source=scripts/stack-env.sh
. "$(dirname "$0")/stack-env.sh"

if ! running; then
  echo "status: no stack with the data folder $CRYPTO_TELEMETRY_DATA is running"
  exit 3
fi
exec process-compose process list -o wide "${client[@]}"

#!/usr/bin/env bash
# Puts the backends that are on PATH into .build/bin, where the stack and the tests look for them, instead of compiling
# them. `make backends` does this where CRYPTO_TELEMETRY_BACKENDS=path, as in `nix develop`.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p .build/bin
missing=()
# Not what an earlier run put there.
path=${PATH//"$PWD/.build/bin:"/}
for program in process-compose otelcol prometheus promtool alertmanager amtool tempo loki; do
  if found=$(PATH=$path command -v "$program"); then
    ln -sfn "$found" ".build/bin/$program"
  else
    missing+=("$program")
  fi
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "backends: not on PATH: ${missing[*]}. Unset CRYPTO_TELEMETRY_BACKENDS to compile them from their Go modules" >&2
  exit 1
fi
echo "backends: those on PATH, linked into .build/bin"

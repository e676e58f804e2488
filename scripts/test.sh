#!/usr/bin/env bash
# Runs all tests: builds them once, then plays the end-to-end trials, which mostly wait, beside everything else. Their
# output comes when they are through, whole.
#
#   scripts/test.sh
set -euo pipefail
cd "$(dirname "$0")/.."

# Every test target by its name, but the one that runs beside them: cargo has no way to leave one out.
others=()
for file in crates/*/tests/*.rs crates/*/tests/*/main.rs; do
  case $file in
    */main.rs) name=$(basename "$(dirname "$file")") ;;
    *) name=$(basename "$file" .rs) ;;
  esac
  [ "$name" = e2e ] || [[ " ${others[*]-} " = *" $name "* ]] || others+=(--test "$name")
done

# Code in documentation would be built and run by a third call, for which cargo builds every crate anew.
if grep -rnE '^ *//[/!] *```' crates/*/src; then
  echo "test: code in documentation is not run by this script: put it into a test" >&2
  exit 1
fi

cargo test --workspace --locked --no-run

log=$(mktemp)
# A process group of its own, so that what is left of it can be ended when this is.
set -m
cargo test --workspace --locked --test e2e >"$log" 2>&1 &
set +m
beside=$!
trap 'kill -TERM -- "-$beside" 2>/dev/null || true; rm -f "$log"' EXIT
trap 'exit 130' INT TERM

failed=0
cargo test --workspace --locked --no-fail-fast --lib --bins --examples "${others[@]}" || failed=1

echo "test: waiting for the end-to-end trials"
wait "$beside" || failed=1
cat "$log"
exit "$failed"

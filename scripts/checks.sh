# shellcheck shell=bash disable=SC2034 # failed is read by those who source this
# What check-config.sh and check-nix.sh share; sourced, not run: a folder for what is in between, and one line a check.

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# check <what> <command…>: one line when it is well, else everything the program says.
check() {
  local what=$1
  shift
  if "$@" >"$scratch/output" 2>&1; then
    printf 'ok      %s\n' "$what"
  else
    printf 'FAILED  %s: %s\n' "$what" "$*" >&2
    cat "$scratch/output" >&2
    failed=1
  fi
}

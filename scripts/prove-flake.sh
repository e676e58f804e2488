#!/usr/bin/env bash
# Evaluates the whole flake where nixpkgs cannot be fetched, and keeps what comes out of it in nix/tests/offline/proven/.
# To be run after every change of flake.nix or nix/; scripts/check-nix.sh (CI) says when it was not.
#
#   scripts/prove-flake.sh LIB_GIT CRANE_GIT
#
# LIB_GIT, CRANE_GIT: git directories of nix-community/nixpkgs.lib (nixpkgs' lib alone) and of ipetkov/crane. Nothing of them
# is kept. Needs nix 2.18 or newer as `nix`, or NIX_ROOT, a root folder that has one (see nix-root.sh, which makes one).
# nix/tests/offline/README.md says what this shows and what it cannot.
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -eq 2 ] || { sed -n '2,10p' "$0" | cut -c3- >&2; exit 64; }
lib_git=$1 crane_git=$2
offline=nix/tests/offline
proven=$offline/proven
# The revision that flake.lock names.
crane_revision=$(jq -r '.nodes.crane.locked.rev' flake.lock)
crane_hash=$(jq -r '.nodes.crane.locked.narHash' flake.lock)

root=${NIX_ROOT:-}
work=$(mktemp -d "$root/tmp/prove-flake.XXXXXX")
trap 'rm -rf "$work"' EXIT
in=${work#"$root"}
run() { scripts/in-nix-root.sh "$@"; }
nix() { run nix --extra-experimental-features 'nix-command flakes' --offline "$@"; }
step() { printf '== %s\n' "$*" >&2; }
failed=0
bad() { printf 'FAILED  %s\n' "$*" >&2; failed=1; }

mkdir "$work/crane" "$work/project" "$work/nixpkgs"
cp -r $offline/. "$work/nixpkgs/"
rm -rf "$work/nixpkgs/proven"
git -C "$lib_git" archive HEAD lib | tar x -C "$work/nixpkgs"
git -C "$crane_git" archive "$crane_revision" | tar x -C "$work/crane"
# Tracked files only, as with any flake; what is staged counts.
git ls-files -z | tar c --null --files-from=- --ignore-failed-read | tar x -C "$work/project"

step "crane is what flake.lock says"
[ "$(nix hash path --sri "$in/crane" 2>/dev/null)" = "$crane_hash" ] || bad "crane's hash is not that of flake.lock"

step "nix flake check, every system"
nix flake check --no-build --all-systems --no-write-lock-file \
  --override-input nixpkgs "path:$in/nixpkgs" --override-input crane "path:$in/crane" "path:$in/project" ||
  bad 'nix flake check'

# prove <attribute>: its value as JSON.
prove() {
  run nix-instantiate --eval --strict --json --show-trace "$in/nixpkgs/prove.nix" -A "$1" \
    --argstr nixpkgs "$in/nixpkgs" --argstr crane "$in/crane" --argstr project "$in/project"
}
step "the declared options take what NixOS takes, and no more"
run nix-instantiate --eval --expr "let stand-in = import $in/nixpkgs/nixpkgs.nix; in import $in/nixpkgs/options/selftest.nix {
  inherit (stand-in) lib; pkgs = stand-in.legacyPackages.x86_64-linux; }" || bad 'the declared options'
step "machines, scripts, outputs"
prove proven >"$work/proven.json" 2>"$work/errors" || { tail -n 40 "$work/errors" >&2; exit 1; }

step "mistakes are refused with a sentence"
jq -r '.mistakes | keys[]' "$work/proven.json" >"$work/mistakes"
while read -r mistake; do
  says=$(jq -r --arg mistake "$mistake" '.mistakes[$mistake]' "$work/proven.json")
  if prove "mistake.$mistake" >"$work/accepted" 2>"$work/errors" </dev/null; then
    bad "$mistake is not refused"
  elif ! tr '\n' ' ' <"$work/errors" | grep -qF -- "$says"; then
    bad "$mistake is refused, but without saying: $says"
    tail -n 5 "$work/errors" >&2
  fi
done <"$work/mistakes"
[ "$failed" -eq 0 ] || exit 1

step "what is kept"
rm -rf $proven
mkdir -p $proven/units $proven/scripts $proven/tests
jq -S . "$work/proven.json" >"$work/sorted.json"
# write <jq path to text> <file>
write() { jq -j "$1" "$work/sorted.json" >"$proven/$2"; }
while IFS=$'\t' read -r machine unit; do
  mkdir -p "$proven/units/$machine"
  write ".machines[\"$machine\"].units[\"$unit\"]" "units/$machine/$unit.service"
done < <(jq -r '.machines | to_entries[] | .key as $m | .value.units | keys[] | [$m, .] | @tsv' "$work/sorted.json")
# NixOS's own units, for the machines that are started with them.
for machine in offline-watched offline-cache; do
  mkdir -p "$proven/backends/$machine"
  while read -r unit; do
    write ".machines[\"$machine\"].backends[\"$unit\"]" "backends/$machine/$unit.service"
  done < <(jq -r --arg machine "$machine" '.machines[$machine].backends | keys[]' "$work/sorted.json")
done
for script in stack full; do write ".scripts.$script" "scripts/$script.sh"; done
while read -r test; do write ".vmTests[\"$test\"]" "tests/$test.py"; done < <(jq -r '.vmTests | keys[]' "$work/sorted.json")
for machine in everything other-ports parts-off watched; do
  write ".machines[\"$machine\"].prometheus" "prometheus-$machine.yml"
  [ "$machine" = parts-off ] || write ".machines[\"$machine\"].alertmanager" "alertmanager-$machine.yml"
done
jq '{environments: (.machines | map_values(.environments)), caddy: .machines.everything.caddy,
  beside: (.machines | map_values(.beside)), openPorts: (.machines | map_values(.openPorts)), warnings: (.machines | map_values(.warnings)), outputs}' \
  "$work/sorted.json" >$proven/evaluation.json
# New files count, too, once they are known to git.
git add --intent-to-add $proven
scripts/check-nix.sh --sources >$proven/sources.sha256
echo "prove-flake: kept in $proven; now scripts/check-nix.sh" >&2

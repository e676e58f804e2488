#!/usr/bin/env bash
# Builds the Go programs of the stack from backends/<module>/ and puts links to them into .build/bin/.
#
#   scripts/build-backends.sh              all of them
#   scripts/build-backends.sh tempo loki   only those
#
# A built program is kept by the hash of everything that decides what it is (go.mod, go.sum, sources,
# flags, Go version, platform), so that nothing is built twice, in this clone or in another one:
#   ${CRYPTO_TELEMETRY_CACHE:-${XDG_CACHE_HOME:-~/.cache}/crypto-telemetry}/bin/<program>-<hash>
# Compiled packages go to Go's own build cache, so that an interrupted build goes on where it stopped.
#
# CRYPTO_TELEMETRY_PROGRAMS_FROM_PATH="tempo loki" (or "all") takes those from PATH instead of building
# them. Nothing is taken from PATH otherwise: another version may read another configuration.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cache=${CRYPTO_TELEMETRY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/crypto-telemetry}/bin
links=$root/.build/bin
logs=$root/.build/log
all_programs=(process-compose otelcol prometheus promtool alertmanager amtool tempo loki)
# A first build of all fills Go's module cache (6.3 GiB seen) and build cache (7.3 GiB seen at most, with things built
# twice).
needed_gib=14

export CGO_ENABLED=0
# Flags that a user's own setting may hold (-mod=mod, -race) would change what is built.
export GOFLAGS=

die() { printf 'build-backends: %s\n' "$*" >&2; exit 1; }

# Sets module, package, tags and version_flag for one program. The versions themselves are pinned in go.mod;
# here they are only written into the binary, because Go knows no release number for a dependency.
describe() {
  tags=
  case $1 in
    process-compose) module=process-compose package=github.com/f1bonacc1/process-compose
      version_flag='-X github.com/f1bonacc1/process-compose/src/config.Version=v1.87.0' ;;
    # remove_all_sd leaves out service discovery for some thirty clouds; static and file targets stay.
    # It more than halves the time to build and the size.
    otelcol) module=otelcol package=. tags=remove_all_sd version_flag= ;;
    prometheus | promtool) module=prometheus package=github.com/prometheus/prometheus/cmd/$1 tags=remove_all_sd
      version_flag='-X github.com/prometheus/common/version.Version=3.15.0' ;;
    # 0.31 is the last whose module holds the compiled web page; from 0.32 on its Go package does not build without
    # making that page first, with Node and Elm. nixpkgs has 0.31.1, too.
    alertmanager | amtool) module=alertmanager package=github.com/prometheus/alertmanager/cmd/$1
      version_flag='-X github.com/prometheus/common/version.Version=0.31.1' ;;
    tempo) module=tempo package=github.com/grafana/tempo/cmd/tempo
      version_flag='-X main.Version=2.9.0' ;;
    loki) module=loki package=github.com/grafana/loki/v3/cmd/loki
      version_flag='-X github.com/grafana/loki/v3/pkg/util/build.Version=3.7.8' ;;
    *) die "there is no program called $1; there are: ${all_programs[*]}" ;;
  esac
  ldflags="-s -w${version_flag:+ $version_flag}"
}

sha256() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }

# The hash of everything that decides what the program is.
content_hash() {
  (
    cd "$root/backends/$module"
    printf '%s\n' "$1" "$package" "$tags" "$ldflags" "$go_identity"
    # A folder in it is a module that replaces another.
    for file in go.mod go.sum *.go */go.mod */*.go; do
      # Without such files the module leaves the pattern itself.
      if [ -f "$file" ]; then
        printf '%s\n' "$file"
        cat "$file"
      fi
    done
  ) | sha256 | cut -c1-16
}

needs_path() {
  case " ${CRYPTO_TELEMETRY_PROGRAMS_FROM_PATH:-} " in *" all "* | *" $1 "*) return 0 ;; *) return 1 ;; esac
}

# Links a program that the user wants from PATH; nixpkgs calls the full Collector otelcol-contrib.
link_from_path() {
  local name found
  local names=("$1")
  [ "$1" = otelcol ] && names=(otelcol-contrib otelcol)
  for name in "${names[@]}"; do
    found=$(PATH=$(without_links) command -v "$name") || continue
    ln -sfn "$found" "$links/$1"
    printf '%-16s taken from PATH: %s\n' "$1" "$found"
    return
  done
  die "CRYPTO_TELEMETRY_PROGRAMS_FROM_PATH asks for $1 from PATH, and it is not there; install it or take it off that list"
}

# PATH without our own links, which would otherwise be found and linked to themselves.
without_links() { printf '%s' ":$PATH:" | sed "s|:$links:|:|g; s|^:||; s|:\$||"; }

check_go() {
  command -v go >/dev/null || die "Go is not on PATH. It builds Tempo, Loki, Prometheus, Alertmanager and the Collector; install Go $go_needed or newer and run this again"
  local have
  have=$(go env GOVERSION) || die "'go env GOVERSION' failed; the Go installation at $(command -v go) is broken"
  have=${have#go}
  # With GOTOOLCHAIN=auto, which is Go's default, an older Go fetches the one that go.mod asks for by itself.
  if [ "$(printf '%s\n' "$go_needed" "${have%%[-+ ]*}" | sort -V | head -n 1)" != "$go_needed" ] &&
    [ "$(go env GOTOOLCHAIN)" = local ]; then
    die "Go $have is too old: $go_needed or newer is needed. Install it, or set GOTOOLCHAIN=auto so that Go fetches it"
  fi
}

# Disk for the programs that are still to be built: their share of what all need, less what Go's caches hold already of
# an earlier or an interrupted build.
check_disk() {
  local program directory modules free needed held missing=()
  for program in "${to_build[@]}"; do
    describe "$program"
    [ -x "$cache/$program-$(content_hash "$program")" ] || missing+=("$program")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  directory=$(go env GOCACHE)
  modules=$(go env GOMODCACHE)
  mkdir -p "$cache" "$directory" "$modules"
  needed=$(((needed_gib * ${#missing[@]} + ${#all_programs[@]} - 1) / ${#all_programs[@]}))
  held=$(du -sk "$directory" "$modules" | awk '{ sum += $1 } END { print int(sum / 1048576) }')
  needed=$((needed > held ? needed - held : 0))
  # The program itself and what the linker writes on the way.
  [ "$needed" -gt 1 ] || needed=1
  free=$(df -Pk "$directory" | awk 'NR == 2 { print int($4 / 1048576) }')
  [ "$free" -ge "$needed" ] ||
    die "only $free GiB are free where Go keeps its caches ($directory), and building ${missing[*]} needs about $needed GiB. Make room, or set GOCACHE and GOMODCACHE to a bigger disk"
}

clock() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# Shows how far it is: on a terminal one line that is written over, else a line about every ten seconds.
last_line_at=0
progress() {
  local text
  text="[$number/$count] $program: $1, $(clock $((SECONDS - program_started))) (all: $(clock $SECONDS))"
  if [ -t 1 ]; then
    printf '\r\033[K%s' "$text"
  elif [ $((SECONDS - last_line_at)) -ge 10 ]; then
    printf '%s\n' "$text"
    last_line_at=$SECONDS
  fi
}
progress_end() { [ -t 1 ] && printf '\r\033[K'; printf '%s\n' "$1"; last_line_at=$SECONDS; }

child=
# shellcheck disable=SC2317,SC2329 # called by the traps
stop_child() {
  [ -n "$child" ] && kill "$child" 2>/dev/null
  exit 130
}
trap stop_child INT TERM

# Runs a command in the module's folder with its output in a log, reporting what `$1` (a function) says of it.
watch() {
  local what=$1 log=$2
  shift 2
  (cd "$root/backends/$module" && exec "$@") >"$log.out" 2>"$log" &
  child=$!
  while kill -0 "$child" 2>/dev/null; do
    progress "$("$what" "$log")"
    sleep 1
  done
  local status=0
  wait "$child" || status=$?
  child=
  [ "$status" = 0 ] && return
  [ -t 1 ] && printf '\n'
  tail -n 20 "$log" >&2
  die "$program could not be built (above: the end of $log). What is compiled is kept: run the same command again and it goes on from there"
}
# shellcheck disable=SC2317,SC2329 # called through watch
downloading() { printf 'getting modules, %d so far' "$(grep -c '^go: downloading' "$1")"; }
# shellcheck disable=SC2317,SC2329 # called through watch
compiling() { printf 'compiled %d of %d packages' "$(grep -vc '^go: ' "$1")" "$packages"; }

build() {
  program=$1
  program_started=$SECONDS
  describe "$program"
  local target log flags
  target=$cache/$program-$(content_hash "$program")
  if [ -x "$target" ]; then
    ln -sfn "$target" "$links/$program"
    return
  fi
  log=$logs/$program.log
  flags=(-trimpath -tags "$tags" -ldflags "$ldflags")
  # Stale packages are those that the build cache does not have yet: what is left to compile.
  watch downloading "$log" go list "${flags[@]}" -deps -f '{{if .Stale}}{{.ImportPath}}{{end}}' "$package"
  packages=$(grep -c . "$log.out" || true)
  watch compiling "$log" go build -v "${flags[@]}" -o "$target.$$" "$package"
  # Renamed only when whole, so that an interrupted build, or another clone's, never leaves half a program.
  mv "$target.$$" "$target"
  ln -sfn "$target" "$links/$program"
  progress_end "[$number/$count] $program: built in $(clock $((SECONDS - program_started)))"
}

programs=("$@")
[ ${#programs[@]} -gt 0 ] || programs=("${all_programs[@]}")
go_needed=$(sed -n 's/^go //p' "$root"/backends/*/go.mod | sort -V | tail -n 1)
mkdir -p "$links" "$logs"

to_build=()
for program in "${programs[@]}"; do
  if needs_path "$program"; then link_from_path "$program"; else to_build+=("$program"); fi
done
count=${#to_build[@]}
[ "$count" -gt 0 ] || exit 0

check_go
go_identity=$(cd "$root/backends/loki" && go env GOVERSION GOOS GOARCH GOAMD64 GOARM64)
check_disk
number=0
for program in "${to_build[@]}"; do
  number=$((number + 1))
  build "$program"
done
echo "backends: ${programs[*]} ready in .build/bin"

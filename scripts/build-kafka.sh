#!/usr/bin/env bash
# Fetches the jars of Apache Kafka, with which tests start a broker of their own, and puts a link to them into
# .build/kafka. They come from Maven Central (or the mirror that Maven is set up for), 43 MB.
#
# The jars are kept by the hash of scripts/kafka/pom.xml, so that nothing is fetched twice, in this clone or in another:
#   ${CRYPTO_TELEMETRY_CACHE:-${XDG_CACHE_HOME:-~/.cache}/crypto-telemetry}/kafka/<hash>
#
# Needs Java 17 or newer to run it, and Maven to fetch it. Without them the tests that need Kafka are left out, and say so.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cache=${CRYPTO_TELEMETRY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/crypto-telemetry}/kafka
log=$root/.build/log/kafka.log

die() { printf 'build-kafka: %s\n' "$*" >&2; exit 1; }

sha256() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }

target=$cache/$(sha256 <"$root/scripts/kafka/pom.xml" | cut -c1-16)
mkdir -p "$cache" "$root/.build/log"
if [ ! -d "$target" ]; then
  command -v mvn >/dev/null || die "Maven is not on PATH; it fetches Kafka's jars. Debian's package is maven"
  # Renamed only when whole, so that an interrupted run, or another clone's, never leaves half of them.
  part=$target.$$
  trap 'rm -rf "$part"' EXIT
  if ! mvn --batch-mode --file "$root/scripts/kafka/pom.xml" dependency:copy-dependencies \
    -DoutputDirectory="$part" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    die "Kafka's jars could not be fetched (above: the end of $log)"
  fi
  mv -T "$part" "$target" 2>/dev/null || [ -d "$target" ] || die "$target could not be made"
fi
ln -sfn "$target" "$root/.build/kafka"
echo "kafka: ready in .build/kafka"

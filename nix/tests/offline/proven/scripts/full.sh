#!/usr/bin/env bash
set -o errexit
set -o nounset
set -o pipefail

export PATH="/nix/store/crypto-telemetry-0.1.0/bin:/nix/store/otelcol/bin:/nix/store/grafana-13.0.2/bin:/nix/store/grafana-loki-3.7.2/bin:/nix/store/process-compose-1.110.0/bin:/nix/store/prometheus-3.11.3/bin:/nix/store/prometheus-alertmanager-0.31.1/bin:/nix/store/tempo-2.10.5/bin:/nix/store/bash-1/bin:/nix/store/coreutils-1/bin:/nix/store/curl-1/bin:/nix/store/findutils-1/bin:/nix/store/gawk-1/bin:/nix/store/gnugrep-1/bin:/nix/store/gnused-1/bin:/nix/store/jq-1/bin:/nix/store/postgresql_17-1/bin:/nix/store/util-linux-1/bin:/nix/store/jdk17_headless-1/bin:/nix/store/valkey-1/bin:$PATH"

# As it was called: a path in the store, where `nix run` found it, works when it is typed again.
export CRYPTO_TELEMETRY_COMMAND=${CRYPTO_TELEMETRY_COMMAND:-$0}
export KAFKA_JARS=${KAFKA_JARS:-/nix/store/apacheKafka_4_2-1/libs}

exec bash /nix/store/source/scripts/stack.sh --full "$@"


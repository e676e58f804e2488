#!/usr/bin/env bash
# Makes backends/otelcol/*.go, go.mod and go.sum anew from backends/otelcol/builder-config.yaml.
# Only needed after that file was changed; what it makes is committed, so that a build needs no builder.
set -euo pipefail
cd "$(dirname "$0")/../backends/otelcol"

version=$(sed -n 's/^  version: //p' builder-config.yaml)

# The builder only generates here. Its own next step, `go mod tidy`, also wants the modules that the
# parts' tests use, and not every registry has all of those.
go run "go.opentelemetry.io/collector/cmd/builder@v$version" \
  --config builder-config.yaml --skip-get-modules --skip-compilation

# go.mod from the list itself: what is direct is what builder-config.yaml names, plus the Collector's frame.
rm -f go.mod go.sum
go mod init crypto-telemetry/backends/otelcol
# A low floor that the parts raise to what they need; else the version of whoever ran this would stand here.
go mod edit -go=1.25.0
mapfile -t modules < <(sed -n 's/^ *- gomod: \([^ ]*\) \(v[^ ]*\)$/\1@\2/p' builder-config.yaml)
go get "go.opentelemetry.io/collector/otelcol@v$version" "${modules[@]}"
# Adds what the generated files import beyond that (and their sums).
go get .
echo "regenerated; now: make backends, make check-config, and commit backends/otelcol"

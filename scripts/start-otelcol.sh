#!/usr/bin/env bash
# Starts the Collector with otel-collector/config.yaml and what is to be laid over it: OTELCOL_OVERLAY and
# OTELCOL_DEBUG_CONFIG, files below CRYPTO_TELEMETRY_ROOT with a blank between two. Arguments go to the Collector
# (`validate`). Called by process-compose.yaml.
set -euo pipefail

die() { printf 'otelcol: %s\n' "$*" >&2; exit 64; }
root=${CRYPTO_TELEMETRY_ROOT:-$(cd "$(dirname "$0")/.." && pwd)}

configs=(--config "$root/otel-collector/config.yaml")
read -r -a overlays <<<"${OTELCOL_OVERLAY:-} ${OTELCOL_DEBUG_CONFIG:-}"
for overlay in ${overlays[@]+"${overlays[@]}"}; do
  [ -f "$root/$overlay" ] || die "there is no $root/$overlay, which OTELCOL_OVERLAY or OTELCOL_DEBUG_CONFIG names"
  configs+=(--config "$root/$overlay")
done

# The Collector itself says of a missing variable only that an address is none.
case " ${overlays[*]-} " in
  *" otel-collector/aws.yaml "*)
    [[ ${AWS_REGION:-} =~ ^[a-z]+(-[a-z]+)+-[0-9]+$ ]] ||
      die "otel-collector/aws.yaml wants AWS_REGION, such as eu-central-1; it is '${AWS_REGION:-}'"
    [ -n "${AWS_AMP_URL:-}" ] || [[ ${AWS_AMP_WORKSPACE_ID:-} =~ ^ws-[0-9A-Za-z-]+$ ]] ||
      die "otel-collector/aws.yaml wants AWS_AMP_WORKSPACE_ID, such as ws-0123-…, or AWS_AMP_URL; it is '${AWS_AMP_WORKSPACE_ID:-}'"
    ;;
  *" otel-collector/aws-only.yaml "*) die 'otel-collector/aws-only.yaml goes after otel-collector/aws.yaml, not alone' ;;
esac

gates=()
[ -z "${OTELCOL_FEATURE_GATES:-}" ] || gates=(--feature-gates="$OTELCOL_FEATURE_GATES")
exec nice -n "${BACKENDS_NICE:-0}" otelcol "$@" "${configs[@]}" ${gates[@]+"${gates[@]}"}

#!/usr/bin/env bash
# Starts the Grafana that is on PATH, or says that there is none. Called by process-compose.yaml.
set -euo pipefail

if ! command -v grafana >/dev/null; then
  echo "There is no grafana on PATH, so the stack runs without dashboards; everything else is the same. Install Grafana 12 or newer (with Nix it comes along) and start again to have them."
  exit 0
fi

data=$CRYPTO_TELEMETRY_DATA/grafana
mkdir -p "$data"

# Grafana's web client lies beside its program, in share/grafana (nixpkgs) or where the packages put it.
home=${GRAFANA_HOME:-}
if [ -z "$home" ]; then
  prefix=$(dirname "$(dirname "$(readlink -f "$(command -v grafana)")")")
  for candidate in "$prefix/share/grafana" "$prefix" /usr/share/grafana; do
    if [ -f "$candidate/conf/defaults.ini" ]; then
      home=$candidate
      break
    fi
  done
fi
[ -n "$home" ] || {
  echo "Grafana is on PATH ($(command -v grafana)), but not its share folder with conf/defaults.ini: set GRAFANA_HOME to it." >&2
  exit 1
}

# Made once and kept. Signs sessions and encrypts what Grafana stores, so it must not change between starts.
random_file() {
  if [ ! -s "$1" ]; then
    (umask 077 && head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$1")
  fi
}
random_file "$data/secret_key"
if [ -z "${GRAFANA_ADMIN_PASSWORD:-}" ]; then
  if [ "$ENVIRONMENT" = development ]; then
    # On loopback, on a developer's machine.
    GRAFANA_ADMIN_PASSWORD="admin"
  else
    random_file "$data/admin_password"
    GRAFANA_ADMIN_PASSWORD=$(cat "$data/admin_password")
    echo "Grafana's user is admin, its password is in $data/admin_password"
  fi
fi

export GF_SERVER_HTTP_ADDR=127.0.0.1
export GF_SERVER_HTTP_PORT=$GRAFANA_PORT
export GF_PATHS_DATA=$data
export GF_PATHS_LOGS=$data/log
export GF_PATHS_PLUGINS=$data/plugins
export GF_PATHS_PROVISIONING=$CRYPTO_TELEMETRY_ROOT/grafana/provisioning
# Read by grafana/provisioning/dashboards.
export GRAFANA_DASHBOARDS_DIR=$CRYPTO_TELEMETRY_ROOT/grafana/dashboards
export GF_SECURITY_ADMIN_PASSWORD=$GRAFANA_ADMIN_PASSWORD
GF_SECURITY_SECRET_KEY=$(cat "$data/secret_key")
export GF_SECURITY_SECRET_KEY
export GF_AUTH_ANONYMOUS_ENABLED=false
export GF_USERS_ALLOW_SIGN_UP=false
# Tells nobody anything, and asks nobody for updates.
export GF_ANALYTICS_REPORTING_ENABLED=false
export GF_ANALYTICS_CHECK_FOR_UPDATES=false
export GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES=false
export GF_PLUGINS_PREINSTALL_DISABLED=true
export GF_PLUGINS_PUBLIC_KEY_RETRIEVAL_DISABLED=true
export GF_NEWS_NEWS_FEED_ENABLED=false
# For the /metrics that Prometheus scrapes.
export GF_METRICS_ENABLED=true

exec grafana server --homepath "$home"

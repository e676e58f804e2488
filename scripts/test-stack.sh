#!/usr/bin/env bash
# Tests the installed stack, which `nix run` starts, as a person uses it: from a folder that cannot be written, with a data
# folder with a space in its name, on ports out of everybody's way, with PostgreSQL, Kafka and Valkey; twice, with a look at
# what is kept. Wants the backends in .build/bin, PostgreSQL, Java, Kafka's jars (KAFKA_JARS, else .build/kafka), Valkey or
# Redis, and crypto-telemetry on PATH.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.build/bin:$PATH"
command -v crypto-telemetry >/dev/null || { echo 'test-stack: there is no crypto-telemetry on PATH' >&2; exit 1; }
for name in $(compgen -e | grep -E '_PORT$|^(CRYPTO_TELEMETRY|XDG|DATABASE|BUS|REDIS|VALKEY|ENGINES|DETACH|TELEMETRY|OTEL)'); do unset "$name"; done

# Below the ports that the kernel hands out, and not those of the end-to-end tests.
port=13000
mapfile -t variables < <(sed -nE 's/^  - "([A-Z_]+_PORT)=.*/\1/p' process-compose.yaml)
# Those of process-compose.full.yaml, too.
variables+=(KAFKA_PORT KAFKA_CONTROLLER_PORT)
for variable in "${variables[@]}"; do
  port=$((port + 1))
  export "$variable=$port"
done
[ "$port" -gt 13017 ] || { echo 'test-stack: the ports of process-compose.yaml are no longer found' >&2; exit 1; }

export KAFKA_JARS=${KAFKA_JARS:-$PWD/.build/kafka}
scratch=$(mktemp -d)
# PostgreSQL's user has to get to its folder.
chmod 755 "$scratch"
store=$scratch/store
data="$scratch/data folder"
said=$scratch/said
stack=(bash "$store/scripts/stack.sh")
export HOME=$scratch/home CRYPTO_TELEMETRY_COMMAND=crypto-telemetry-stack
# shellcheck disable=SC2317,SC2329 # called by the trap
finish() {
  "${stack[@]}" down --data "$data" >/dev/null 2>&1 || true
  "${stack[@]}" down >/dev/null 2>&1 || true
  chmod -R u+w "$store"
  rm -rf "$scratch"
}
fail() {
  printf 'test-stack: %s\n' "$*" >&2
  cat "$said" >&2
  tail -n 5 "$data"/logs/*.log >&2 || true
  exit 1
}
# refused <code> <part of the sentence> <arguments…>
refused() {
  local code=$1 sentence=$2 got=0
  shift 2
  "${stack[@]}" "$@" >"$said" 2>&1 || got=$?
  [ "$got" -eq "$code" ] || fail "'$*' ends with $got, not $code"
  grep -qF -- "$sentence" "$said" || fail "'$*' does not say: $sentence"
}

# As the flake has it: these and no others.
mkdir "$store"
mapfile -t files < <(sed -nE 's#^ +\.\./([a-z.-]+)$#\1#p' nix/configuration.nix)
[ ${#files[@]} -gt 6 ] || fail 'nix/configuration.nix is no longer understood'
cp -r "${files[@]}" "$store/"
chmod -R a-w "$store"
trap finish EXIT

"${stack[@]}" --help >"$said" || fail 'no help'
grep -q -- '--full' "$said" || fail 'the help does not name --full'
refused 64 '--data wants a folder' --data
refused 64 '--data wants a folder' --data=
refused 64 'there is no option --dta' --dta x
refused 64 'down or up, not both' down up
refused 64 'status takes no process: tempo' status tempo
DATABASE_URL=postgres://x/y refused 64 'DATABASE_URL names another' --full --data "$data"
BUS_URL=kafka://x:9092 refused 64 'BUS_URL names another' --full --data "$data"
REDIS_URL_FILE=/x refused 64 'REDIS_URL names another' --full --data "$data"
ENGINES=half refused 64 "ENGINES is 'half'" --data "$data"
refused 3 'is running' status --data "$data"
# Before anything starts, and all that is missing at once.
KAFKA_JARS=/nowhere VALKEY_MEMORY_MIB=much refused 1 'there are no jars of Kafka in /nowhere' --full --detach --data "$data"
grep -qF 'VALKEY_MEMORY_MIB is a number' "$said" || fail 'it does not say what else is missing'
KAFKA_CONTROLLER_PORT=$KAFKA_PORT refused 1 'are two ports' --full --detach --data "$data"
refused 3 'is running' status --data "$data"

"${stack[@]}" --full --detach --data "$data" >"$said" 2>&1 || fail 'it does not start'
grep -qF "'crypto-telemetry-stack down --data $(printf %q "$data")' stops it" "$said" || fail 'it does not say how to stop it'
scripts/smoke.sh >"$said" 2>&1 || fail 'something is missing'
grep -q '"engine":"postgresql"' "$data/logs/order-service.log" || fail 'order-service is not on PostgreSQL'
# depends_on <service> <port> <what>: it says that this is there.
depends_on() {
  curl --silent --max-time 20 "http://127.0.0.1:$2/health/ready" >"$said" || fail "$1 does not answer"
  jq -e --arg on "$3" 'any(.checks[]; .name == $on and .status == "ok")' "$said" >/dev/null || fail "$1 has no $3"
}
depends_on signal-service "$SIGNAL_PORT" bus
depends_on trigger-dispatcher "$DISPATCHER_PORT" bus
depends_on market-data-service "$MARKET_DATA_PORT" cache
depends_on user-service "$USER_PORT" cache
# As scripts/stack-env.sh names it.
valkey=/tmp/crypto-telemetry-$(id -u)-$(printf '%s' "$data" | cksum | cut -d ' ' -f 1).valkey
[ -S "$valkey" ] || fail "there is no Valkey at $valkey"
# The alert of smoke.sh has gone through it.
[ -n "$(find "$data/kafka/data" -maxdepth 1 -name '[a-z]*-0' -print -quit)" ] || fail 'there is no topic in Kafka'
"${stack[@]}" status --data "$data" | grep -q 'api-gateway.*Ready' || fail 'status does not show the gateway'
refused 1 'is running already' --full --data "$data"
refused 1 "' first" clean --data "$data"
# The same folder by another name is the same stack.
refused 1 'is running already' --full --data "$scratch/./data folder/"

# orders: how many there are.
orders() { curl --silent --fail --max-time 20 "http://127.0.0.1:$GATEWAY_PORT/api/v1/orders?limit=100" | jq '.items | length'; }
before=$(orders)
[ "$before" -gt 0 ] || fail 'there is no order'
"${stack[@]}" down --data "$data" >"$said" 2>&1 || fail 'it does not stop'
if pgrep -f "postgres -D $data" >/dev/null; then fail 'PostgreSQL is left'; fi
if pgrep -f "kafka.Kafka $data" >/dev/null; then fail 'Kafka is left'; fi
[ ! -e "$valkey" ] || fail 'Valkey is left'
"${stack[@]}" --full --detach "--data=$data" >"$said" 2>&1 || fail 'it does not start again'
[ "$(orders)" -eq "$before" ] || fail "$before orders before the stop, $(orders) after it"
"${stack[@]}" down --data "$data" >"$said" 2>&1 || fail 'it does not stop again'
"${stack[@]}" clean --data "$data" >"$said" 2>&1 || fail 'its data cannot be removed'
[ ! -e "$data" ] || fail 'data is left'
# A folder that was named by mistake keeps what it has.
mkdir -p "$scratch/mine/logs"
refused 1 'nothing is removed' clean --data "$scratch/mine"
[ -d "$scratch/mine/logs" ] || fail "somebody's logs are gone"

# Where nothing is said: the user's state folder, and a stack of one process.
"${stack[@]}" simulator --detach >"$said" 2>&1 || fail 'one process does not start'
[ -d "$HOME/.local/state/crypto-telemetry/logs" ] || fail 'nothing is written to the state folder'
"${stack[@]}" down >"$said" 2>&1 || fail 'it does not stop'
[ -z "$(find "$store" -newer "$said")" ] || fail 'something was written into the store'
echo 'test-stack: ok'

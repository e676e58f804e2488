#!/usr/bin/env bash
# Starts the units that NixOS would have, as the last proof rendered them, under a real systemd in namespaces of its own, and
# asks them: with every restriction in force, with credentials, dynamic users, state folders, the bus that three of them share
# and, where the machine has them, PostgreSQL or Valkey over their sockets or the whole observability stack. What is not NixOS
# here: the root file system (NIX_ROOT, a Debian), PostgreSQL's own unit, the units of Valkey and of the backends, which
# nix/tests/offline/options makes after NixOS's modules, and the programs: the binary was built by cargo, the backends by Go,
# PostgreSQL and Valkey by Debian. There is no Grafana.
#
#   NIX_ROOT=… scripts/boot-units.sh BINARY MACHINE…      machines of nix/tests/offline/cases.nix, such as offline-sqlite
#
# Wants root. Nothing of it is left afterwards: the namespaces have their own processes, network and mounts.
set -euo pipefail
cd "$(dirname "$0")/.."
proven=$PWD/nix/tests/offline/proven

[ $# -ge 2 ] || { sed -n '2,13p' "$0" | cut -c3- >&2; exit 64; }
binary=$(realpath "$1")
shift
root=${NIX_ROOT:?is the folder that scripts/nix-root.sh makes}
[ "$(id -u)" -eq 0 ] || { echo 'boot-units: wants root' >&2; exit 1; }

scratch=$(mktemp -d)
init=
# shellcheck disable=SC2317,SC2329 # called by the trap
finish() {
  [ -z "$init" ] || kill -KILL "$init" 2>/dev/null || true
  rm -rf "$scratch"
}
trap finish EXIT
die() {
  printf 'boot-units: %s\n' "$*" >&2
  inside systemctl list-units --failed --no-legend --plain >&2 || true
  inside journalctl --no-pager -o cat | grep -viE "level.{1,3}info" | tail -n 40 >&2 || true
  exit 1
}
# inside <command…>: in the machine.
inside() { nsenter -t "$init" -m -p -i -u -n -C -r -w "$@"; }
# within <seconds> <what> <command…>
within() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >"$scratch/said" 2>&1; do
    [ "$SECONDS" -lt "$end" ] || die "$what: $(tail -c 500 "$scratch/said")"
    sleep 0.2
  done
}

# The machine's side, before systemd: a copy-on-write root in memory, with the units and the programs they name.
cat >"$scratch/enter.sh" <<'ENTER'
set -euo pipefail
root=$1 units=$2 binary=$3 mounts=$4 repository=$5 proven=$6
mount --make-rprivate /
mount -t tmpfs tmpfs "$mounts"
mkdir "$mounts/up" "$mounts/work" "$mounts/root"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$mounts/up,workdir=$mounts/work" "$mounts/root"
cd "$mounts/root"
mount -t proc proc proc
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
# Its devices are this machine's: PrivateDevices gives each unit a few of them.
mount --rbind /dev dev
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
ip link set lo up
echo 0123456789abcdef0123456789abcdef >etc/machine-id
rm -rf etc/systemd/system
mkdir -p etc/systemd/system
cp "$units"/*.service etc/systemd/system/
# The programs of the units, at the paths in the store that they name.
programs=$(sed -nE 's/^ExecStart="?([^ "]+)"?.*/\1/p' "$units"/*.service | sort -u)
for path in $programs; do
  mkdir -p ".${path%/*}"
  case ${path##*/} in
    crypto-telemetry) from=$binary ;;
    otelcol-contrib) from=$repository/.build/bin/otelcol ;;
    # Valkey answers to both names.
    redis-server) ln -s /usr/bin/valkey-server ".$path"; continue ;;
    *) from=$repository/.build/bin/${path##*/} ;;
  esac
  cp "$(realpath "$from")" ".$path"
done
if [ -e etc/systemd/system/tempo.service ]; then
  # Their configuration, as the flake puts it into the store.
  cp "$repository/otel-collector/config.yaml" "$repository/tempo/tempo.yaml" "$repository/loki/loki.yaml" nix/store/
  cp "$proven/prometheus-watched.yml" nix/store/prometheus.yml-checkconfig-checked
  cp -r "$repository/prometheus" nix/store/prometheus
  # What NixOS's modules do beside the units: users, folders, a script before the start.
  for user in loki prometheus; do
    chroot . useradd --system --user-group --no-create-home "$user"
    install -d -m 0750 -o "$(chroot . id -u "$user")" -g "$(chroot . id -g "$user")" "var/lib/$user"
  done
  mkdir -p nix/store/alertmanager-pre-start/bin
  printf '#!/bin/sh\nexec /usr/bin/cp /nix/store/alertmanager.yml /tmp/alert-manager-substituted.yaml\n' >nix/store/alertmanager-pre-start/bin/alertmanager-pre-start
  chmod +x nix/store/alertmanager-pre-start/bin/alertmanager-pre-start
  cp "$proven/alertmanager-watched.yml" nix/store/alertmanager.yml
fi
mkdir -p .old
pivot_root . .old
umount -l /.old
# As systemd itself has it where it is no container: credentials reach a unit's own mounts that way.
mount --make-rshared /
# systemd then leaves alone what is this machine's.
export container=crypto-telemetry-test
exec /lib/systemd/systemd --system --unit=basic.target --log-target=journal --show-status=no
ENTER

start_machine() {
  local units=$1 child
  mkdir -p "$scratch/mounts"
  unshare --mount --pid --fork --net --cgroup --ipc --uts --kill-child \
    bash "$scratch/enter.sh" "$root" "$units" "$binary" "$scratch/mounts" "$PWD" "$proven" >"$scratch/console" 2>&1 &
  child=$!
  for _ in $(seq 100); do
    init=$(pgrep -P "$child" 2>/dev/null | head -n 1) || true
    if [ -n "$init" ] && [ "$(cat "/proc/$init/comm" 2>/dev/null)" = systemd ]; then
      # Degraded: no kernel modules can be loaded here.
      state=$(inside systemctl is-system-running --wait 2>&1) || true
      case $state in running | degraded) return ;; esac
    fi
    kill -0 "$child" 2>/dev/null || break
    sleep 0.1
  done
  echo "boot-units: systemd did not start: $(tail -n 5 "$scratch/console")" >&2
  exit 1
}

stop_machine() {
  kill -KILL "$init"
  wait
  init=
}

# port_of <service>
port_of() { sed -nE 's/^Environment="PORT=([0-9]+)"$/\1/p' "$units/crypto-telemetry-$1.service"; }
# has <service> <check>: it says so itself.
# shellcheck disable=SC2317,SC2329 # called through within
has() { call "http://127.0.0.1:$(port_of "$1")/health/ready" | jq -e --arg check "$2" '.checks[] | select(.name == $check) | .status == "ok"'; }

# of_machine <jq path>: what the machine has beside its units, as the last proof has it.
of_machine() { jq -r --arg machine "$machine" ".beside[\$machine]$1" "$proven/evaluation.json"; }

# Groups and folders that units share.
make_shared() {
  local group
  for group in $(of_machine '.groups[]'); do inside groupadd --system "$group"; done
  of_machine '.tmpfiles[]' | inside sh -c 'cat >/etc/tmpfiles.d/shared.conf && systemd-tmpfiles --create /etc/tmpfiles.d/shared.conf'
}

# What NixOS's redis module does beside the unit: its user, and the script before the start, which leaves the configuration.
prepare_redis() {
  local unit=$1 script
  inside useradd --system --user-group --no-create-home "$unit"
  of_machine ".redis[\"${unit#redis-}\"] | to_entries[] | \"\(.key) \(if .value == true then \"yes\" elif .value == false then \"no\" else .value end)\"" |
    inside sh -c "cat >/etc/$unit.conf"
  script=$(sed -nE 's/^ExecStartPre="?\+([^ "]+)"?.*/\1/p' "$units/$unit.service")
  inside sh -c "mkdir -p '${script%/*}' && cat >'$script' && chmod +x '$script'" <<PREPARE
#!/bin/sh
exec /usr/bin/install -o $unit -g $unit -m 0600 /etc/$unit.conf /var/lib/$unit/redis.conf
PREPARE
}

# What NixOS's postgresql module does: a cluster, roles and databases named alike, who is let in at the socket as whom.
start_postgresql() {
  of_machine .postgresql.authentication | inside sh -c 'cat >/etc/test-pg_hba.conf'
  of_machine .postgresql.identMap | inside sh -c 'cat >/etc/test-pg_ident.conf'
  inside sh -c 'cat >/etc/test-postgres-setup' <<'SETUP'
set -eu
install -d -o postgres -g postgres -m 0755 /run/postgresql
cluster=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
install -d -o postgres -g postgres -m 0700 /var/lib/postgresql/test
runuser -u postgres -- "$cluster/initdb" -D /var/lib/postgresql/test --auth=peer >/dev/null
runuser -u postgres -- "$cluster/pg_ctl" -D /var/lib/postgresql/test -w -o "-c listen_addresses= -c unix_socket_directories=/run/postgresql -c hba_file=/etc/test-pg_hba.conf -c ident_file=/etc/test-pg_ident.conf -c max_connections=$1" -l /var/lib/postgresql/test.log start >/dev/null
shift
for name in "$@"; do
  runuser -u postgres -- psql -q -h /run/postgresql -c "CREATE ROLE \"$name\" LOGIN" -c "CREATE DATABASE \"$name\" OWNER \"$name\""
done
SETUP
  inside sh -c 'cat >/etc/systemd/system/postgresql.target' <<'TARGET'
[Unit]
Description=PostgreSQL
Requires=test-postgresql.service
After=test-postgresql.service
TARGET
  # As many databases as roles, by the same names.
  [ "$(of_machine '.postgresql.databases | sort | tostring')" = "$(of_machine '.postgresql.roles | sort | tostring')" ] || die "$machine: roles and databases are not alike"
  inside sh -c 'cat >/etc/systemd/system/test-postgresql.service' <<SERVICE
[Service]
Type=oneshot
RemainAfterExit=true
ExecStart=/bin/sh /etc/test-postgres-setup $(of_machine .postgresql.connections) $(of_machine '.postgresql.roles | join(" ")')
SERVICE
  inside systemctl daemon-reload
}

api_key="test-key-of-no-value-0123456789abcdef"
bot_token="424242:token-of-no-value-for-this-test"

# This machine's curl in that machine's network.
call() { nsenter -t "$init" -n curl --silent --show-error --max-time 20 "$@"; }
is_ready() { call --fail-with-body "http://127.0.0.1:$1/health/ready"; }
body='{"user_id": 1001, "user_name": "John Doe", "user_email": "john@example.com", "action": "purchase"}'
# order <key> [options of curl]: headers and body of the answer.
order() {
  local key=$1
  shift
  call --include -H 'Content-Type: application/json' -H "Idempotency-Key: $key" -d "$body" "$@" http://127.0.0.1:8080/api/v1/process
}
# shellcheck disable=SC2317,SC2329 # called through within
order_is_done() {
  local answer
  answer=$(order first "${with_key[@]}")
  echo "$answer"
  grep -q '"status":"done"' <<<"$answer"
}
with_key=(-H "X-API-Key: $api_key")
# signal <key>: one by hand, of the kind that sets the first example off; its id.
signal() {
  call --fail-with-body -H 'Content-Type: application/json' -H "Idempotency-Key: $1" http://127.0.0.1:8003/v1/signals \
    -d '{"symbol": "BTCUSDT", "action": "buy", "signal_type": "golden_cross"}' | jq -er .signal.signal_id
}
# What the signal set off is at its end: it went over the bus, was matched, and worked on.
# shellcheck disable=SC2317,SC2329 # called through within
signal_is_done() {
  local matches execution
  matches=$(call --fail-with-body "http://127.0.0.1:8001/v1/signals/$1/matches") || { echo "$matches"; return 1; }
  execution=$(jq -er '.items[0].execution_id' <<<"$matches") || { echo "$matches"; return 1; }
  call --fail-with-body "http://127.0.0.1:8001/v1/executions/$execution" >"$scratch/execution"
  cat "$scratch/execution"
  jq -e '.status == "success"' "$scratch/execution" >/dev/null
}
orders() { call --fail-with-body "${with_key[@]}" 'http://127.0.0.1:8080/api/v1/orders?limit=100' | jq '.items | length'; }

for machine in "$@"; do
  units=$proven/units/$machine
  [ -d "$units" ] || { echo "boot-units: $units is not there: is $machine in cases.nix and proven?" >&2; exit 1; }
  rm -rf "$scratch/units"
  cp -r "$units" "$scratch/units"
  units=$scratch/units
  # A machine that sends telemetry to a Collector of its own has all backends (but Grafana, which is not to be had here).
  watched=
  if grep -q '^Environment="TELEMETRY_ENABLED=true"' "$units"/*.service; then
    watched=yes
  fi
  [ ! -d "$proven/backends/$machine" ] || cp "$proven/backends/$machine"/*.service "$units/"
  rm -f "$units/grafana.service"
  mapfile -t all < <(cd "$units" && find . -name '*.service' -printf '%f\n' | LC_ALL=C sort)
  mapfile -t names < <(printf '%s\n' "${all[@]}" | grep '^crypto-telemetry-')
  start_machine "$units"

  inside mkdir -m 0700 /run/keys
  printf 'tests:%s\n' "$(printf '%s' "$api_key" | sha256sum | cut -d ' ' -f 1)" | inside sh -c 'umask 077; cat >/run/keys/api-keys'
  printf '%s\n' "$bot_token" | inside sh -c 'umask 077; cat >/run/keys/bot-token'
  make_shared
  if [ -e "$units/redis-crypto-telemetry.service" ]; then prepare_redis redis-crypto-telemetry; fi
  if grep -q 'postgresql.target' "$units"/*.service; then start_postgresql; fi

  inside systemctl start --no-block "${all[@]}"
  ports=$(sed -nE 's/^Environment="PORT=([0-9]+)"$/\1/p' "$units"/*.service)
  for port in $ports; do within 20 "$machine: port $port is not ready" is_ready "$port"; done
  echo "ok      $machine: ${#names[@]} units are up and ready, with every restriction in force"

  within 30 "$machine: an order does not go through" order_is_done
  echo "ok      $machine: an order goes through the chain"
  order refused | head -n 1 | grep -q ' 401' || die "$machine: a request without a key is not refused"
  echo "ok      $machine: nobody is served without a key"

  id=$(signal first) || die "$machine: signal-generator makes no signal"
  within 30 "$machine: a signal does not come to its end" signal_is_done "$id"
  echo "ok      $machine: a signal goes over the bus and sets a pipeline off"

  if [ -n "$watched" ]; then
    # All that the virtual machine is asked, by its own script.
    test=$scratch/test.py
    cat "$proven/tests/vm-sqlite.py" nix/tests/vm/machine.py >"$test"
    inside sh -c "cat >$(sed -nE 's/^SMOKE = "(.*)"$/\1/p' "$test")" <scripts/smoke.sh
    printf '%s' "$api_key" | inside sh -c 'umask 077; cat >/run/keys/api-key'
    inside ln -s "$(sed -nE 's/^ExecStart="?([^ "]+)"?.*/\1/p' "$units/crypto-telemetry-api-gateway.service")" /usr/local/bin/crypto-telemetry
    python3 nix/tests/offline/drive.py "$init" "$test" 2>"$scratch/drive" || die "$machine: $(tail -n 40 "$scratch/drive")"
    echo "ok      $machine: the script of the virtual machine's test"
    stop_machine
    continue
  fi

  # Secrets are with their service alone.
  token_path=/run/credentials/crypto-telemetry-notifier-service.service/TELEGRAM_BOT_TOKEN
  inside test -s $token_path || die "$machine: notifier-service has no token"
  if inside runuser -u nobody -- cat $token_path >/dev/null 2>&1; then die "$machine: anybody reads the bot's token"; fi
  # Into files first: a search that ends at the first match would break the pipe, which reads as nothing found.
  inside sh -c 'cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null' >"$scratch/processes" || true
  inside journalctl --no-pager >"$scratch/journal"
  for place in processes journal; do
    grep -qaF audit-service "$scratch/$place" || die "$machine: the search in $place finds nothing"
    if grep -qaF -e "$bot_token" -e "$api_key" "$scratch/$place"; then die "$machine: a secret is in $place"; fi
  done
  echo "ok      $machine: secrets are readable by their service only"

  # Each has a user of its own, those of pipelines one, with no capability, behind a system call filter; nothing listens but
  # on loopback.
  : >"$scratch/users"
  for name in "${names[@]}"; do
    pid=$(inside systemctl show -P MainPID "$name")
    inside grep -qE '^Seccomp:\s+2' "/proc/$pid/status" || die "$machine: $name runs without its system call filter"
    inside grep -qE '^CapEff:\s+0+$' "/proc/$pid/status" || die "$machine: $name has capabilities"
    user=$(inside stat -c %u "/proc/$pid")
    if [ "$user" -lt 61184 ] || [ "$user" -gt 65519 ]; then die "$machine: $name runs as user $user, which is no dynamic one"; fi
    case $name in *-pipeline-worker.service | *-trigger-dispatcher.service) name=crypto-telemetry-pipeline-service.service ;; esac
    echo "$user $name" >>"$scratch/users"
  done
  [ "$(sort -u "$scratch/users" | wc -l)" -eq $((${#names[@]} - 2)) ] || die "$machine: the units of pipelines are not one user: $(cat "$scratch/users")"
  [ "$(cut -d ' ' -f 1 "$scratch/users" | sort -u | wc -l)" -eq $((${#names[@]} - 2)) ] || die "$machine: two services are one user: $(cat "$scratch/users")"
  if inside ss -Htln | awk '{print $4}' | grep -vE '^(127\.|\[::1\])'; then die "$machine: something listens beyond loopback"; fi
  echo "ok      $machine: own users, no capabilities, system calls filtered, loopback only"

  # The bus is for who has it, and nobody else.
  for name in signal-service signal-generator trigger-dispatcher; do
    has "$name" bus >/dev/null || die "$machine: $name has no bus"
  done
  if [ -n "$(of_machine '.groups[]')" ]; then
    if inside runuser -u nobody -- cat /var/lib/crypto-telemetry-bus/bus.db >/dev/null 2>&1; then die "$machine: anybody reads the bus"; fi
  else
    if inside runuser -u nobody -- psql -h /run/postgresql -U crypto-telemetry-bus crypto-telemetry-bus -c 'select 1' >/dev/null 2>&1; then die "$machine: anybody reads the bus"; fi
  fi
  echo "ok      $machine: three services share the bus, and nobody else"
  mapfile -t caching < <(grep -l '^Environment="REDIS_URL=' "$units"/crypto-telemetry-*.service | sed -E 's#.*/crypto-telemetry-(.*)\.service$#\1#')
  for name in "${caching[@]}"; do within 20 "$machine: $name has no cache" has "$name" cache; done
  if [ ${#caching[@]} -gt 0 ]; then
    socket=$(of_machine '.redis["crypto-telemetry"].unixsocket')
    inside valkey-cli -s "$socket" ping | grep -qx PONG || die "$machine: the cache does not answer"
    if inside runuser -u nobody -- valkey-cli -s "$socket" ping >/dev/null 2>&1; then die "$machine: anybody reads the cache"; fi
    echo "ok      $machine: ${#caching[@]} services share the cache, and nobody else"
  fi

  # Killed: they come back by themselves, with what they had.
  before=$(orders)
  inside systemctl kill --signal=KILL "${all[@]}"
  for port in $ports; do within 20 "$machine: port $port is not ready after the kill" is_ready "$port"; done
  [ "$(orders)" = "$before" ] || die "$machine: $before orders before the kill, $(orders) after it"
  answer=$(order first "${with_key[@]}")
  grep -qi '^idempotent-replayed: true' <<<"$answer" || die "$machine: the repetition is worked on anew: $answer"
  [ "$(orders)" = "$before" ] || die "$machine: the repetition made an order"
  for name in "${caching[@]}"; do within 20 "$machine: $name has no cache after the kill" has "$name" cache; done
  signal_is_done "$id" >"$scratch/said" || die "$machine: what the signal set off is lost: $(cat "$scratch/said")"
  [ "$(signal first)" = "$id" ] || die "$machine: the repetition made a signal"
  # Whoever read the bus is dead for as long as its place may be kept, then another reads on.
  id=$(signal second) || die "$machine: signal-generator makes no signal after the kill"
  within 60 "$machine: a signal does not come to its end after the kill" signal_is_done "$id"
  echo "ok      $machine: what is killed comes back with what it had"

  inside systemctl stop "${all[@]}"
  for name in "${names[@]}"; do
    [ "$(inside systemctl show -P Result "$name")" = success ] || die "$machine: $name did not stop well: $(inside systemctl show -P Result "$name")"
  done
  echo "ok      $machine: they stop when told"
  stop_machine
done

#!/usr/bin/env bash
# Starts a Kafka of this stack's own: one node that is broker and controller (KRaft), on loopback, with its data in the data
# folder, small. Called by process-compose.full.yaml. Wants Java on PATH, and Kafka's jars where KAFKA_JARS says, else in
# .build/kafka, where scripts/build-kafka.sh puts them.
#
#   KAFKA_PORT (9092), KAFKA_CONTROLLER_PORT (9094): on 127.0.0.1
#   KAFKA_HEAP_MIB (256), KAFKA_RETENTION_HOURS (24), KAFKA_RETENTION_MIB (256, of a partition)
#
# With --check it only says whether it could.
set -euo pipefail

die() { printf 'kafka: %s\n' "$*" >&2; exit 1; }

jars=${KAFKA_JARS:-$CRYPTO_TELEMETRY_ROOT/.build/kafka}
port=${KAFKA_PORT:-9092}
controller=${KAFKA_CONTROLLER_PORT:-9094}

command -v java >/dev/null ||
  die 'there is no java on PATH, and Kafka is a Java program: install Java 17 or newer (Debian: openjdk-17-jre-headless; Nix: jdk17_headless), or start without --full'
java=$(java -version 2>&1) || die "java does not run: $java"
java=$(sed -nE 's/.*version "([0-9]+).*/\1/p' <<<"$java" | head -n 1)
[ "${java:-0}" -ge 17 ] || die "Java ${java:-of an unknown version} is on PATH, and Kafka needs 17 or newer (Debian: openjdk-17-jre-headless)"
[ -n "$(find -L "$jars" -maxdepth 1 -name 'kafka_2*.jar' -print -quit 2>/dev/null)" ] ||
  die "there are no jars of Kafka in $jars: scripts/build-kafka.sh fetches them (it wants Maven; Debian: maven), Nix has them in apacheKafka's libs (KAFKA_JARS names the folder), or start without --full"
# Kafka takes a comma for two folders.
case $CRYPTO_TELEMETRY_DATA in *,* | *\\*) die "the data folder $CRYPTO_TELEMETRY_DATA has a comma or a backslash in its name, which Kafka does not take" ;; esac
for number in "$port" "$controller" "${KAFKA_HEAP_MIB:-256}" "${KAFKA_RETENTION_HOURS:-24}" "${KAFKA_RETENTION_MIB:-256}"; do
  [[ $number =~ ^[1-9][0-9]{0,6}$ ]] || die "KAFKA_PORT, KAFKA_CONTROLLER_PORT, KAFKA_HEAP_MIB, KAFKA_RETENTION_HOURS and KAFKA_RETENTION_MIB are numbers: $number is none"
done
[ "$port" != "$controller" ] || die "KAFKA_PORT and KAFKA_CONTROLLER_PORT are two ports, and both are $port"
if [ "${1:-}" = --check ]; then
  for setting in "KAFKA_PORT=$port" "KAFKA_CONTROLLER_PORT=$controller"; do
    if (: <"/dev/tcp/127.0.0.1/${setting#*=}") 2>/dev/null; then
      die "somebody listens on 127.0.0.1:${setting#*=} already: ${setting%=*} moves Kafka away"
    fi
  done
  exit 0
fi

data=$CRYPTO_TELEMETRY_DATA/kafka
install -d -m 0700 "$data"
# Written at every start: ports may be others. A topic is made by who publishes to it first, with the partitions it wants.
cat >"$data/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$data/data
auto.create.topics.enable=false
log.retention.hours=${KAFKA_RETENTION_HOURS:-24}
log.retention.bytes=$((${KAFKA_RETENTION_MIB:-256} * 1048576))
log.segment.bytes=16777216
log.index.size.max.bytes=1048576
log.cleaner.threads=1
log.cleaner.dedupe.buffer.size=8388608
metadata.log.segment.bytes=16777216
metadata.max.retention.bytes=67108864
group.initial.rebalance.delay.ms=0
# One that was killed may come back as soon as this has passed; the default is nine seconds.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
group.min.session.timeout.ms=1000
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
num.io.threads=2
num.network.threads=2
num.recovery.threads.per.data.dir=1
PROPERTIES

# Without a configuration its log says errors only; warnings are wanted, too.
java=(java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.level=WARN -cp "$jars/*")
if [ ! -s "$data/data/meta.properties" ]; then
  # What an interrupted first start left behind.
  rm -rf "$data/data"
  # 16 bytes in Kafka's own base 64, without the characters that an option begins with or a URL minds.
  cluster=$(head -c 16 /dev/urandom | base64 | tr '+/' 'AB' | cut -c 1-22)
  made=$("${java[@]}" kafka.tools.StorageTool format --cluster-id "$cluster" --config "$data/server.properties" 2>&1) ||
    die "its storage could not be made: $made"
fi
exec "${java[@]}" "-Xmx${KAFKA_HEAP_MIB:-256}m" kafka.Kafka "$data/server.properties"

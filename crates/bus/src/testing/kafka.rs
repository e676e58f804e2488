//! A Kafka broker of the test process's own.
//!
//! One node that is broker and controller (KRaft), on ports of this machine, with its data in a temporary folder. A shell
//! stands between the broker and the tests: it ends the broker and removes the folder as soon as the pipe from the test
//! process closes, and that the kernel does however the process ends.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

/// Said where there is no Kafka.
pub const MISSING: &str =
    "there is no Kafka here: it needs java on PATH, and its jars, which scripts/build-kafka.sh fetches";

/// Takes orders a line each, answers each with a line. `$1` is the folder, `$2` the class path.
const SUPERVISOR: &str = r#"
trap '' INT TERM HUP
pid=
stop() { if [ -n "$pid" ]; then kill -"$1" "$pid"; wait "$pid"; pid=; fi; }
while read -r order; do
    case $order in
    start)
        java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$2" kafka.Kafka "$1/server.properties" \
            >>"$1/log" 2>&1 </dev/null & pid=$! ;;
    crash) stop KILL ;;
    esac
    echo "$order" || break
done
stop KILL
cd / && rm -rf "$1"
"#;

/// A running broker.
#[derive(Debug)]
pub struct Kafka {
    folder: PathBuf,
    port: u16,
    secured_port: u16,
    supervisor: Mutex<Supervisor>,
}

/// What the second listener needs.
#[derive(Clone, Copy)]
struct Secured<'a> {
    certificate: &'a str,
    key: &'a str,
    password: &'a str,
}

#[derive(Debug)]
struct Supervisor {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Kafka {
    /// Whether there is a Kafka to start.
    #[must_use]
    pub fn is_possible() -> bool {
        let java = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .any(|folder| folder.join("java").is_file());
        java && jars().is_dir()
    }

    /// Makes a broker and starts it.
    ///
    /// # Panics
    /// When there is no Kafka, or it cannot be started; with its log.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// With a second listener ([`Kafka::secured_url`]) that has this certificate (PEM, and its key, in PKCS 8) for
    /// `localhost`, and lets in the user `bus` with this password by `PLAIN` and `SCRAM-SHA-512`.
    ///
    /// # Panics
    /// As [`Kafka::start`].
    #[must_use]
    pub fn start_secured(certificate: &str, key: &str, password: &str) -> Self {
        Self::start_with(Some(Secured { certificate, key, password }))
    }

    fn start_with(secured: Option<Secured<'_>>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        assert!(Self::is_possible(), "{MISSING}");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("ct-kafka-{}-{number}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&folder).expect("a folder for the broker");
        let ports = free_ports();
        let settings = settings(&folder, ports, secured);
        std::fs::write(folder.join("server.properties"), settings).expect("the broker's settings");
        let class_path = jars().join("*");
        let made = Command::new("java")
            .args(["-XX:TieredStopAtLevel=1", "-cp"])
            .arg(&class_path)
            .args(["kafka.tools.StorageTool", "format", "--cluster-id", "4L6g3nShT-eMCtK--X86sw", "--config"])
            .arg(folder.join("server.properties"))
            .args(secured.iter().flat_map(|secured| {
                let user = format!("SCRAM-SHA-512=[name=bus,password={}]", secured.password);
                ["--add-scram".to_owned(), user]
            }))
            .output()
            .expect("java");
        assert!(made.status.success(), "no storage for Kafka: {}", String::from_utf8_lossy(&made.stderr));
        let mut child = Command::new("/bin/sh")
            .args(["-c", SUPERVISOR, "supervisor"])
            .arg(&folder)
            .arg(&class_path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .current_dir(&folder)
            // Ctrl-C is for the tests; the shell then sees their end.
            .process_group(0)
            .spawn()
            .expect("a shell");
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("the shell's answers"));
        let kafka = Self {
            folder,
            port: ports[0],
            secured_port: ports[2],
            supervisor: Mutex::new(Supervisor { child, orders, answers }),
        };
        kafka.start_again();
        kafka
    }

    /// Starts the broker after [`Kafka::crash`], and waits until it answers.
    ///
    /// # Panics
    /// When it does not within two minutes; with its log.
    pub fn start_again(&self) {
        self.order("start");
        let deadline = Instant::now() + Duration::from_secs(120);
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address()).set("reconnect.backoff.max.ms", "100");
        // Without the default context, whose log lines go elsewhere.
        config.set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
        let asker: BaseConsumer = config.create().expect("a client of Kafka");
        while !asker.fetch_metadata(None, Duration::from_secs(1)).is_ok_and(|found| !found.brokers().is_empty()) {
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "Kafka does not start: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends the broker as a crash would.
    pub fn crash(&self) {
        self.order("crash");
    }

    /// For `BUS_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("kafka://{}", self.address())
    }

    /// For `BUS_URL`: the listener of [`Kafka::start_secured`].
    #[must_use]
    pub fn secured_url(&self) -> String {
        format!("kafka://localhost:{}", self.secured_port)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn order(&self, order: &str) {
        let mut supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = supervisor.orders.as_mut().expect("the broker runs");
        writeln!(orders, "{order}").expect("the broker's shell");
        let mut answer = String::new();
        supervisor.answers.read_line(&mut answer).expect("the broker's shell");
        assert_eq!(answer.trim(), order, "the broker's shell");
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        let supervisor = self.supervisor.get_mut().unwrap_or_else(PoisonError::into_inner);
        supervisor.orders = None;
        // Its only failure is to have ended already.
        let _ = supervisor.child.wait();
    }
}

/// Where `KAFKA_JARS` says, or where scripts/build-kafka.sh has put them.
fn jars() -> PathBuf {
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.build/kafka");
    std::env::var_os("KAFKA_JARS").map_or_else(built, PathBuf::from)
}

/// Ports that nobody has now: a broker has to know its own before it starts.
fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("its port").port())
}

/// One node, small, that takes short sessions and makes no topic by itself.
fn settings(folder: &Path, [port, controller, secured_port]: [u16; 3], secured: Option<Secured<'_>>) -> String {
    let (mut listeners, mut advertised) =
        (format!("PLAINTEXT://127.0.0.1:{port}"), format!("PLAINTEXT://127.0.0.1:{port}"));
    let mut more = String::new();
    if let Some(Secured { certificate, key, password }) = secured {
        listeners += &format!(",SECURED://127.0.0.1:{secured_port}");
        advertised += &format!(",SECURED://localhost:{secured_port}");
        // A value is one line.
        let (certificate, key) = (certificate.trim().replace('\n', "\\n"), key.trim().replace('\n', "\\n"));
        more = format!(
            "listener.name.secured.ssl.keystore.type=PEM
listener.name.secured.ssl.keystore.certificate.chain={certificate}
listener.name.secured.ssl.keystore.key={key}
listener.name.secured.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.secured.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_bus=\"{password}\";
listener.name.secured.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
"
        );
    }
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners={listeners},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={advertised}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL
log.dirs={}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.cleaner.enable=false
num.io.threads=2
num.network.threads=2
{more}",
        folder.join("data").display()
    )
}

//! Starting and stopping the stack.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;

use bus::testing::Kafka;
use storage::testing::Cluster;

use crate::alerts::{self, Receiver};
use crate::fraud_check::FraudCheck;
use crate::wait::until;

/// Every port of process-compose.yaml, moved out of the way of a developer's own stack and below the range from
/// which the kernel hands out ports.
const PORTS: [(&str, u16); 26] = [
    ("OTELCOL_GRPC_PORT", 24317),
    ("OTELCOL_HTTP_PORT", 24318),
    ("OTELCOL_PROM_PORT", 28889),
    ("OTELCOL_SELF_PORT", 28888),
    ("OTELCOL_HEALTH_PORT", 23133),
    ("PROMETHEUS_PORT", 29090),
    ("ALERTMANAGER_PORT", 29093),
    ("TEMPO_PORT", 23200),
    ("TEMPO_OTLP_PORT", 24319),
    ("TEMPO_GRPC_PORT", 29095),
    ("LOKI_PORT", 23100),
    ("LOKI_GRPC_PORT", 29096),
    ("GRAFANA_PORT", 23000),
    ("MARKET_DATA_PORT", 28081),
    ("DECISION_PORT", 28082),
    ("SIGNAL_PORT", 28000),
    ("PIPELINE_PORT", 28001),
    ("WORKER_PORT", 28002),
    ("GENERATOR_PORT", 28003),
    ("DISPATCHER_PORT", 28004),
    ("NOTIFIER_PORT", 29000),
    ("GATEWAY_PORT", 28080),
    ("USER_PORT", 25001),
    ("ORDER_PORT", 25002),
    ("AUDIT_PORT", 25003),
    ("SIMULATOR_PORT", 28090),
];

/// What a developer may have set for a stack of their own.
const FOREIGN: [&str; 4] = ["OTEL_", "TELEMETRY_", "ALERT_", "ALERTMANAGER_"];

pub(crate) const SERVICES: [&str; 3] = ["market-data-service", "decision-service", "notifier-service"];

/// The business chain, first to last.
pub(crate) const CHAIN: [&str; 4] = ["api-gateway", "user-service", "order-service", "audit-service"];

pub(crate) struct Stack {
    process_compose: Mutex<Option<Child>>,
    data: PathBuf,
    socket: PathBuf,
    pub(crate) http: reqwest::blocking::Client,
    /// The engine of its databases, as spans name it.
    pub(crate) engine: &'static str,
    /// Who has a part in the answer of the business chain, first to last.
    pub(crate) parts: Vec<&'static str>,
    /// Who is told of its alerts.
    pub(crate) alerts: Receiver,
    /// What it is started with beside what every stack is.
    variables: Vec<(&'static str, String)>,
    // Ended after process-compose, and with it the services that need them.
    _engines: Option<Engines>,
}

/// What a stack uses that is none of it.
struct Engines {
    _cluster: Cluster,
    _kafka: Option<Kafka>,
    _redis: Option<cache::testing::Server>,
    _fraud_check: FraudCheck,
}

impl Stack {
    /// As it comes: an SQLite file a service, and the bus in another.
    pub(crate) fn start() -> Self {
        Self::up("sqlite", CHAIN.to_vec(), Vec::new(), None)
    }

    /// With its databases in a PostgreSQL, its bus in a Kafka and its cache in a Redis of its own, and with a service of
    /// somebody else between user- and order-service, put there as docs/CHAIN.md says. Outside of CI, where Kafka or Redis
    /// is missing, the bus is in PostgreSQL, or there is no cache, and it says so.
    pub(crate) fn start_on_postgres() -> Self {
        provide_crypto();
        let cluster = Cluster::start();
        let fraud_check = FraudCheck::start(&url("ORDER_PORT", ""));
        let may_miss = std::env::var_os("CI").is_none();
        let kafka = (!may_miss || Kafka::is_possible()).then(Kafka::start);
        if kafka.is_none() {
            eprintln!("NOT RUN with Kafka: {}", bus::testing::MISSING);
        }
        let redis = cache::testing::Server::start();
        let mut variables = vec![
            ("DATABASE_URL", cluster.database()),
            ("BUS_URL", kafka.as_ref().map_or_else(|| cluster.database(), Kafka::url)),
            ("USER_NEXT_SERVICE_URL", fraud_check.url().to_owned()),
            ("USER_NEXT_SERVICE_NAME", "fraud-check".to_owned()),
        ];
        variables.extend(redis.as_ref().map(|redis| ("REDIS_URL", redis.url())));
        let parts = vec!["api-gateway", "user-service", "fraud-check", "order-service", "audit-service"];
        let engines = Engines { _cluster: cluster, _kafka: kafka, _redis: redis, _fraud_check: fraud_check };
        Self::up("postgresql", parts, variables, Some(engines))
    }

    /// Starts everything and waits until it is ready. A taken port or a missing program is a sentence.
    fn up(
        engine: &'static str,
        parts: Vec<&'static str>,
        variables: Vec<(&'static str, String)>,
        engines: Option<Engines>,
    ) -> Self {
        let name = format!("e2e-{engine}-{}", std::process::id());
        let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
        std::fs::create_dir_all(data.join("logs")).unwrap();
        // A socket's path may have about a hundred characters only, and a target folder can lie deep.
        let socket = std::env::temp_dir().join(format!("ct-{name}.sock"));
        let alerts = Receiver::start();
        for receiver in alerts::RECEIVERS {
            std::fs::write(data.join(format!("{receiver}-webhook-url")), alerts.url(receiver)).unwrap();
        }
        alerts::write_faster_rules(&data.join("rules"));
        provide_crypto();
        let http = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        let stack = Self {
            process_compose: Mutex::new(None),
            data,
            socket,
            http,
            engine,
            parts,
            alerts,
            variables,
            _engines: engines,
        };
        let preflight = stack.command("crypto-telemetry").arg("preflight").output().unwrap();
        assert!(preflight.status.success(), "the stack cannot start:\n{}", text(&preflight));
        let log = File::create(stack.data.join("logs/process-compose.out")).unwrap();
        let mut command = stack.command("process-compose");
        command
            .args(["up", "--disable-dotenv", "-t=false", "-f"])
            .arg(root().join("process-compose.yaml"))
            .args(["-U", "-u"])
            .arg(&stack.socket)
            .arg("-L")
            .arg(stack.data.join("logs/process-compose.log"))
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        *stack.process_compose.lock().unwrap() = Some(command.spawn().unwrap());
        until("the whole stack is ready", || {
            stack.assert_running();
            let paths = [
                ("NOTIFIER_PORT", "/health/ready"),
                ("SIMULATOR_PORT", "/health/ready"),
                ("MARKET_DATA_PORT", "/health/ready"),
                ("DECISION_PORT", "/health/ready"),
                ("GATEWAY_PORT", "/health/ready"),
                ("USER_PORT", "/health/ready"),
                ("ORDER_PORT", "/health/ready"),
                ("AUDIT_PORT", "/health/ready"),
                ("SIGNAL_PORT", "/health/ready"),
                ("PIPELINE_PORT", "/health/ready"),
                ("WORKER_PORT", "/health/ready"),
                ("GENERATOR_PORT", "/health/ready"),
                ("DISPATCHER_PORT", "/health/ready"),
                ("OTELCOL_HEALTH_PORT", "/"),
                ("PROMETHEUS_PORT", "/-/ready"),
                ("ALERTMANAGER_PORT", "/-/ready"),
                ("TEMPO_PORT", "/ready"),
                ("LOKI_PORT", "/ready"),
            ];
            paths.iter().all(|(port, path)| stack.is_ok(&stack.url(port, path))).then_some(())
        });
        stack
    }

    /// A service beside those of the stack, with its database and its bus, on a port that nobody asks.
    pub(crate) fn beside(&self, service: &str, variables: &[(&str, String)]) -> Beside {
        let folder = format!("sqlite://{}/services/", self.data.display());
        let log =
            File::create(self.data.join(format!("logs/beside-{service}-{:08x}.log", rand::random::<u32>()))).unwrap();
        let mut command = self.command("crypto-telemetry");
        command
            .arg(service)
            // Before what the stack has been given: that wins.
            .env("DATABASE_URL", &folder)
            .env("BUS_URL", &folder)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("PORT", "0")
            .env("TELEMETRY_ENABLED", "true")
            .env("TELEMETRY_OTLP_ENDPOINT", self.url("OTELCOL_GRPC_PORT", ""))
            .env("TELEMETRY_OTLP_PROTOCOL", "grpc")
            .env("MARKET_DATA_URL", self.url("MARKET_DATA_PORT", ""))
            .env("DECISION_URL", self.url("DECISION_PORT", ""))
            .env("ORDER_URL", self.url("ORDER_PORT", ""))
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        Beside(command.spawn().unwrap())
    }

    /// Whether its services have a cache.
    pub(crate) fn has_cache(&self) -> bool {
        self.variables.iter().any(|(name, _)| *name == "REDIS_URL")
    }

    /// The folder of this stack's data.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    fn assert_running(&self) {
        let mut child = self.process_compose.lock().unwrap();
        let ended = child.as_mut().unwrap().try_wait().unwrap();
        assert!(
            ended.is_none(),
            "process-compose ended: {}",
            std::fs::read_to_string(self.data.join("logs/process-compose.out")).unwrap()
        );
    }

    /// A program or script with the stack's variables; the freshly built binary and the built backends come first on PATH.
    pub(crate) fn command(&self, program: &str) -> Command {
        let ours = Path::new(env!("CARGO_BIN_EXE_crypto-telemetry")).parent().unwrap().to_owned();
        let backends = root().join(".build/bin");
        assert!(
            backends.join("otelcol").exists(),
            "the backends are not built: run `make backends`, or `make test`, which does"
        );
        let path = std::env::join_paths(
            [ours.clone(), backends.clone()]
                .into_iter()
                .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
        )
        .unwrap();
        let folders = [ours, backends, root().join("scripts")];
        let program = folders.iter().map(|folder| folder.join(program)).find(|path| path.exists()).unwrap();
        let mut command = Command::new(program);
        for (name, _) in std::env::vars().filter(|(name, _)| FOREIGN.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(name);
        }
        // Nobody's own database is written to.
        for name in ["DATABASE_URL", "DATABASE_URL_FILE", "BUS_URL", "BUS_URL_FILE", "REDIS_URL", "REDIS_URL_FILE"] {
            command.env_remove(name);
        }
        command
            .env("PATH", path)
            .env("CRYPTO_TELEMETRY_ROOT", root())
            .env("CRYPTO_TELEMETRY_DATA", &self.data)
            // The trials of the chain are one client that asks all the time; limits are tested in the gateway's own tests.
            .env("RATE_LIMIT_PER_SECOND", "10000")
            .env("RATE_LIMIT_BURST", "10000")
            // Trials send more orders in a minute than a person would want.
            .env("MAX_ORDERS_PER_MINUTE", "100000")
            .env("MAX_POSITION_NOTIONAL_USD", "100000")
            .env("BINGX_ORDERS_PER_SECOND", "1000")
            .env("SIMULATOR_BINGX_ORDERS_PER_SECOND", "1000")
            .env("SIGNAL_HOOK_RATE_PER_MINUTE", "0")
            // What a killed process had goes to others the sooner.
            .env("WORKER_LEASE_SECONDS", "3")
            .env("BUS_SESSION_TIMEOUT_MS", "6000")
            // Nobody but a trial orders.
            .env("PIPELINE_EXAMPLES_ORDERS", "false")
            // Metrics every second and a scrape every two: nobody should wait for a test longer than needed.
            .env("OTEL_METRIC_EXPORT_INTERVAL", "1000")
            .env("PROMETHEUS_SCRAPE_INTERVAL", "2s")
            // Alerts are told as soon as they fire, and to this test.
            .env("ALERTMANAGER_GROUP_WAIT", "1s")
            .env("ALERTMANAGER_GROUP_INTERVAL", "1s")
            .envs(alerts::RECEIVERS.map(|receiver| {
                let file = self.data.join(format!("{receiver}-webhook-url"));
                (format!("ALERT_{}_WEBHOOK_URL_FILE", receiver.to_uppercase()), file)
            }))
            .env("PROMETHEUS_RULES_DIR", self.data.join("rules"))
            .env("NO_COLOR", "1")
            .envs(PORTS.iter().map(|(name, port)| (name, port.to_string())))
            .env("NOTIFIER_URL", self.url("NOTIFIER_PORT", ""))
            .env("SIMULATOR_URL", self.url("SIMULATOR_PORT", ""))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            // In the test's process group: a Ctrl-C at the terminal reaches process-compose, which stops the stack.
            .current_dir(root());

        command
    }

    /// Runs the binary and returns what it said.
    pub(crate) fn run(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.command("crypto-telemetry").args(arguments).output().unwrap();
        (output.status.success(), text(&output))
    }

    pub(crate) fn url(&self, port: &str, path: &str) -> String {
        url(port, path)
    }

    pub(crate) fn is_ok(&self, url: &str) -> bool {
        self.http.get(url).send().is_ok_and(|response| response.status().is_success())
    }

    pub(crate) fn stop(&self, process: &str) {
        self.control(&["process", "stop", process]);
        let (port, path) = health(process);
        until(&format!("{process} has stopped"), || (!self.is_ok(&self.url(port, path))).then_some(()));
    }

    /// Ends a process as a crash does; process-compose starts it anew by itself.
    pub(crate) fn kill(&self, process: &str) {
        let output = self.control(&["process", "get", process, "-o", "json"]);
        let described: serde_json::Value = serde_json::from_str(&output).unwrap();
        let pid = described[0]["pid"].as_i64().unwrap_or_else(|| panic!("no process id: {output}"));
        // Still there? Killed twice in a row it may be on its way back, and then there is nothing to kill.
        if pid > 0 {
            let killed = Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
            assert!(killed.success());
        }
    }

    pub(crate) fn start_again(&self, process: &str) {
        self.control(&["process", "start", process]);
        self.wait_ready(process);
    }

    pub(crate) fn wait_ready(&self, process: &str) {
        let (port, path) = health(process);
        until(&format!("{process} is ready again"), || self.is_ok(&self.url(port, path)).then_some(()));
    }

    fn control(&self, arguments: &[&str]) -> String {
        let mut command = self.command("process-compose");
        command.args(arguments).args(["-U", "-u"]).arg(&self.socket);
        command.arg("-L").arg(self.data.join("logs/process-compose-client.log"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "process-compose {arguments:?}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A call of a service that answers with JSON: status and body.
    pub(crate) fn post(&self, port: &str, path: &str, body: &serde_json::Value) -> (u16, serde_json::Value) {
        let response = self.http.post(self.url(port, path)).json(body).send().unwrap();
        (response.status().as_u16(), response.json().unwrap())
    }

    /// Ctrl-C, then: no process of the stack, no port in use. Keeps the data when something failed.
    pub(crate) fn stop_and_look(&self, keep_data: bool) {
        let mut child = self.process_compose.lock().unwrap().take().unwrap();
        let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(interrupted.success());
        until("process-compose has ended", || child.try_wait().unwrap());
        for (name, port) in PORTS {
            assert!(TcpListener::bind(("127.0.0.1", port)).is_ok(), "{name} {port} is still in use");
        }
        let left = processes_with(&format!("CRYPTO_TELEMETRY_DATA={}", self.data.display()));
        assert!(left.is_empty(), "still running: {left:?}");
        let _ = std::fs::remove_file(&self.socket);
        if keep_data {
            panic!("see the logs in {}", self.data.join("logs").display());
        }
        std::fs::remove_dir_all(&self.data).unwrap();
    }
}

/// A process beside the stack; killed when it is dropped, as by a crash.
pub(crate) struct Beside(Child);

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Only after a panic on the way: stop_and_look has taken the child otherwise.
        if let Ok(mut child) = self.process_compose.lock()
            && let Some(mut child) = child.take()
        {
            let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
            let _ = child.wait();
        }
    }
}

fn url(port: &str, path: &str) -> String {
    let port = PORTS.iter().find(|(name, _)| *name == port).unwrap().1;
    format!("http://127.0.0.1:{port}{path}")
}

/// What reqwest needs before its first client; the second time it is there already.
fn provide_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn health(process: &str) -> (&'static str, &'static str) {
    match process {
        "otelcol" => ("OTELCOL_HEALTH_PORT", "/"),
        "prometheus" => ("PROMETHEUS_PORT", "/-/ready"),
        "alertmanager" => ("ALERTMANAGER_PORT", "/-/ready"),
        "tempo" => ("TEMPO_PORT", "/ready"),
        "loki" => ("LOKI_PORT", "/ready"),
        "api-gateway" => ("GATEWAY_PORT", "/health/ready"),
        "user-service" => ("USER_PORT", "/health/ready"),
        "order-service" => ("ORDER_PORT", "/health/ready"),
        "audit-service" => ("AUDIT_PORT", "/health/ready"),
        "market-data-service" => ("MARKET_DATA_PORT", "/health/ready"),
        "signal-service" => ("SIGNAL_PORT", "/health/ready"),
        "pipeline-service" => ("PIPELINE_PORT", "/health/ready"),
        "pipeline-worker" => ("WORKER_PORT", "/health/ready"),
        "signal-generator" => ("GENERATOR_PORT", "/health/ready"),
        "trigger-dispatcher" => ("DISPATCHER_PORT", "/health/ready"),
        "notifier-service" => ("NOTIFIER_PORT", "/health/ready"),
        "simulator" => ("SIMULATOR_PORT", "/health/ready"),
        other => panic!("no health address for {other}"),
    }
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Command lines of processes whose environment has this entry.
fn processes_with(entry: &str) -> Vec<String> {
    let mut found = Vec::new();
    for folder in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(environment) = std::fs::read(folder.path().join("environ")) else { continue };
        if environment.split(|byte| *byte == 0).any(|variable| variable == entry.as_bytes()) {
            let line = std::fs::read(folder.path().join("cmdline")).unwrap_or_default();
            // A process that has just ended has no command line any more.
            if !line.is_empty() {
                found.push(String::from_utf8_lossy(&line).replace('\0', " "));
            }
        }
    }
    found
}

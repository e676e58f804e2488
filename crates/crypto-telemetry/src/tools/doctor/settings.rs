//! Where everything is, and how long doctor waits.

use std::path::PathBuf;

use clap::ValueEnum;
use url::Url;

use crate::tools::ports;

/// Send one probe through the whole stack and name the hop that loses it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,

    /// Longest wait for the probe at each hop but Prometheus, in milliseconds; as deployed the Collector batches for 10 s, and
    /// Tempo's search shows a trace 10 s after that
    #[arg(long, default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) timeout_ms: u64,

    /// Longest wait for Prometheus, which scrapes every 15 s, in milliseconds
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) prometheus_wait_ms: u64,

    /// Components that do not run here on purpose, comma-separated
    #[arg(long, env = "DOCTOR_SKIP", value_enum, value_delimiter = ',')]
    pub(super) skip: Vec<Skippable>,

    /// The data folder, whose logs/ the advice points to
    #[arg(long, env = "CRYPTO_TELEMETRY_DATA", default_value = ".data")]
    pub(super) data_dir: PathBuf,

    #[command(flatten)]
    addresses: Box<Addresses>,
}

/// What need not run for the signals to flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Skippable {
    /// All services.
    Services,
    Simulator,
    MarketDataService,
    DecisionService,
    NotifierService,
    AuditService,
    OrderService,
    SignalService,
    SignalGenerator,
    PipelineService,
    TriggerDispatcher,
    PipelineWorker,
    UserService,
    ApiGateway,
    Alertmanager,
    Grafana,
}

/// Every address; left out, the port variable of process-compose.yaml on this machine.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Addresses (left out: 127.0.0.1 and the *_PORT variables of process-compose.yaml)")]
struct Addresses {
    /// The Collector's OTLP over HTTP [port: OTELCOL_HTTP_PORT, 4318]
    #[arg(long, value_parser = ports::http_url)]
    otlp_http_url: Option<Url>,
    /// The Collector's OTLP over gRPC, which the services use [port: OTELCOL_GRPC_PORT, 4317]
    #[arg(long, value_parser = ports::http_url)]
    otlp_grpc_url: Option<Url>,
    /// The Collector's health check [port: OTELCOL_HEALTH_PORT, 13133]
    #[arg(long, value_parser = ports::http_url)]
    collector_health_url: Option<Url>,
    /// The Collector's own metrics [port: OTELCOL_SELF_PORT, 8888]
    #[arg(long, value_parser = ports::http_url)]
    collector_self_url: Option<Url>,
    /// The metrics that the Collector offers to Prometheus [port: OTELCOL_PROM_PORT, 8889]
    #[arg(long, value_parser = ports::http_url)]
    collector_metrics_url: Option<Url>,
    /// Prometheus [port: PROMETHEUS_PORT, 9090]
    #[arg(long, env = "PROMETHEUS_URL", value_parser = ports::http_url)]
    prometheus_url: Option<Url>,
    /// Alertmanager [port: ALERTMANAGER_PORT, 9093]
    #[arg(long, env = "ALERTMANAGER_URL", value_parser = ports::http_url)]
    alertmanager_url: Option<Url>,
    /// Tempo [port: TEMPO_PORT, 3200]
    #[arg(long, env = "TEMPO_URL", value_parser = ports::http_url)]
    tempo_url: Option<Url>,
    /// Loki [port: LOKI_PORT, 3100]
    #[arg(long, env = "LOKI_URL", value_parser = ports::http_url)]
    loki_url: Option<Url>,
    /// Grafana [port: GRAFANA_PORT, 3000]
    #[arg(long, env = "GRAFANA_URL", value_parser = ports::http_url)]
    grafana_url: Option<Url>,
    /// simulator [port: SIMULATOR_PORT, 8090]
    #[arg(long, env = "SIMULATOR_URL", value_parser = ports::http_url)]
    simulator_url: Option<Url>,
    /// market-data-service [port: MARKET_DATA_PORT, 8081]
    #[arg(long, env = "MARKET_DATA_URL", value_parser = ports::http_url)]
    market_data_url: Option<Url>,
    /// decision-service [port: DECISION_PORT, 8082]
    #[arg(long, env = "DECISION_URL", value_parser = ports::http_url)]
    decision_url: Option<Url>,
    /// notifier-service [port: NOTIFIER_PORT, 9000]
    #[arg(long, env = "NOTIFIER_URL", value_parser = ports::http_url)]
    notifier_url: Option<Url>,
    /// audit-service [port: AUDIT_PORT, 5003]
    #[arg(long, env = "AUDIT_URL", value_parser = ports::http_url)]
    audit_url: Option<Url>,
    /// order-service [port: ORDER_PORT, 5002]
    #[arg(long, env = "ORDER_URL", value_parser = ports::http_url)]
    order_url: Option<Url>,
    /// signal-service [port: SIGNAL_PORT, 8000]
    #[arg(long, env = "SIGNAL_URL", value_parser = ports::http_url)]
    signal_url: Option<Url>,
    /// signal-generator [port: GENERATOR_PORT, 8003]
    #[arg(long, env = "GENERATOR_URL", value_parser = ports::http_url)]
    generator_url: Option<Url>,
    /// pipeline-service [port: PIPELINE_PORT, 8001]
    #[arg(long, env = "PIPELINE_URL", value_parser = ports::http_url)]
    pipeline_url: Option<Url>,
    /// trigger-dispatcher [port: DISPATCHER_PORT, 8004]
    #[arg(long, env = "DISPATCHER_URL", value_parser = ports::http_url)]
    dispatcher_url: Option<Url>,
    /// pipeline-worker [port: WORKER_PORT, 8002]
    #[arg(long, env = "WORKER_URL", value_parser = ports::http_url)]
    worker_url: Option<Url>,
    /// user-service [port: USER_PORT, 5001]
    #[arg(long, env = "USER_URL", value_parser = ports::http_url)]
    user_url: Option<Url>,
    /// api-gateway [port: GATEWAY_PORT, 8080]
    #[arg(long, env = "GATEWAY_URL", value_parser = ports::http_url)]
    gateway_url: Option<Url>,
}

/// Where everything is.
#[derive(Debug, Clone)]
pub(super) struct Stack {
    pub(super) otlp_http: Url,
    pub(super) otlp_grpc: Url,
    pub(super) collector_health: Url,
    pub(super) collector_self: Url,
    pub(super) collector_metrics: Url,
    pub(super) prometheus: Url,
    pub(super) alertmanager: Url,
    pub(super) tempo: Url,
    pub(super) loki: Url,
    pub(super) grafana: Url,
    pub(super) simulator: Url,
    pub(super) market_data: Url,
    pub(super) decision: Url,
    pub(super) notifier: Url,
    pub(super) audit: Url,
    pub(super) order: Url,
    pub(super) signal: Url,
    pub(super) generator: Url,
    pub(super) pipeline: Url,
    pub(super) dispatcher: Url,
    pub(super) worker: Url,
    pub(super) user: Url,
    pub(super) gateway: Url,
}

impl Args {
    /// Every address, from the flags or the port variables.
    ///
    /// # Errors
    /// When a port variable is no port.
    pub(super) fn stack(&self) -> anyhow::Result<Stack> {
        let given = &self.addresses;
        Ok(Stack {
            otlp_http: ports::OTELCOL_HTTP.url(given.otlp_http_url.as_ref())?,
            otlp_grpc: ports::OTELCOL_GRPC.url(given.otlp_grpc_url.as_ref())?,
            collector_health: ports::OTELCOL_HEALTH.url(given.collector_health_url.as_ref())?,
            collector_self: ports::OTELCOL_SELF.url(given.collector_self_url.as_ref())?,
            collector_metrics: ports::OTELCOL_PROM.url(given.collector_metrics_url.as_ref())?,
            prometheus: ports::PROMETHEUS.url(given.prometheus_url.as_ref())?,
            alertmanager: ports::ALERTMANAGER.url(given.alertmanager_url.as_ref())?,
            tempo: ports::TEMPO.url(given.tempo_url.as_ref())?,
            loki: ports::LOKI.url(given.loki_url.as_ref())?,
            grafana: ports::GRAFANA.url(given.grafana_url.as_ref())?,
            simulator: ports::SIMULATOR.url(given.simulator_url.as_ref())?,
            market_data: ports::MARKET_DATA.url(given.market_data_url.as_ref())?,
            decision: ports::DECISION.url(given.decision_url.as_ref())?,
            notifier: ports::NOTIFIER.url(given.notifier_url.as_ref())?,
            audit: ports::AUDIT.url(given.audit_url.as_ref())?,
            order: ports::ORDER.url(given.order_url.as_ref())?,
            signal: ports::SIGNAL.url(given.signal_url.as_ref())?,
            generator: ports::GENERATOR.url(given.generator_url.as_ref())?,
            pipeline: ports::PIPELINE.url(given.pipeline_url.as_ref())?,
            dispatcher: ports::DISPATCHER.url(given.dispatcher_url.as_ref())?,
            worker: ports::WORKER.url(given.worker_url.as_ref())?,
            user: ports::USER.url(given.user_url.as_ref())?,
            gateway: ports::GATEWAY.url(given.gateway_url.as_ref())?,
        })
    }

    pub(super) fn skips(&self, component: Skippable) -> bool {
        let is_service = !matches!(component, Skippable::Alertmanager | Skippable::Grafana);
        self.skip.contains(&component) || (is_service && self.skip.contains(&Skippable::Services))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn skips_and_addresses_are_read() {
        let args =
            Cli::try_parse_from(["doctor", "--skip", "services,grafana", "--tempo-url", "http://t:1"]).unwrap().args;
        assert!(
            args.skips(Skippable::Simulator)
                && args.skips(Skippable::NotifierService)
                && args.skips(Skippable::Grafana)
        );
        assert_eq!(args.stack().unwrap().tempo.as_str(), "http://t:1/");
        let args = Cli::try_parse_from(["doctor", "--skip", "simulator"]).unwrap().args;
        assert!(args.skips(Skippable::Simulator) && !args.skips(Skippable::NotifierService));
        let args = Cli::try_parse_from(["doctor", "--skip", "services"]).unwrap().args;
        assert!(!args.skips(Skippable::Alertmanager), "a backend is no service");
        assert!(Cli::try_parse_from(["doctor", "--skip", "tempo"]).is_err(), "the signals flow through Tempo");
        assert!(Cli::try_parse_from(["doctor", "--loki-url", "127.0.0.1:3100"]).is_err());
    }
}

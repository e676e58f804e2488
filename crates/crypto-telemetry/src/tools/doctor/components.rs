//! Whether each component answers and says it is well.

use std::future::Future;
use std::time::{Duration, Instant};

use futures_util::future::{LocalBoxFuture, join_all};
use serde::Serialize;
use url::Url;

use super::hop::Next;
use super::parse::{self, Target};
use super::settings::{Args, Skippable, Stack};
use crate::tools::http::{self, CallError, Http, Reply};

/// Longest wait for one answer. A service gives its own checks two seconds.
const LIMIT: Duration = Duration::from_secs(3);

/// How a component is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Health {
    /// It says it is ready.
    Well,
    /// Not as it should be.
    Ill,
    /// Not there, which is no failure.
    Note,
}

/// One component's state.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Component {
    /// Its name.
    pub(super) name: &'static str,
    /// How it is.
    pub(super) health: Health,
    /// In words.
    pub(super) detail: String,
    /// How long the check took, in milliseconds.
    pub(super) took_ms: u64,
    /// What to do next, when it is ill.
    #[serde(skip)]
    pub(super) next: Option<Next>,
}

/// Checks all of them at the same time.
pub(super) async fn check(args: &Args, stack: &Stack) -> Vec<Component> {
    let http = &Http::new(LIMIT);
    let mut checks: Vec<LocalBoxFuture<'_, Component>> = Vec::new();
    let services = [
        ("simulator", Skippable::Simulator, &stack.simulator),
        ("market-data-service", Skippable::MarketDataService, &stack.market_data),
        ("decision-service", Skippable::DecisionService, &stack.decision),
        ("notifier-service", Skippable::NotifierService, &stack.notifier),
        ("audit-service", Skippable::AuditService, &stack.audit),
        ("order-service", Skippable::OrderService, &stack.order),
        ("signal-service", Skippable::SignalService, &stack.signal),
        ("signal-generator", Skippable::SignalGenerator, &stack.generator),
        ("pipeline-service", Skippable::PipelineService, &stack.pipeline),
        ("trigger-dispatcher", Skippable::TriggerDispatcher, &stack.dispatcher),
        ("pipeline-worker", Skippable::PipelineWorker, &stack.worker),
        ("user-service", Skippable::UserService, &stack.user),
        ("api-gateway", Skippable::ApiGateway, &stack.gateway),
    ];
    for (name, skippable, url) in services {
        if !args.skips(skippable) {
            checks.push(Box::pin(timed(name, name, async move {
                service(http.get(&http::join(url, "/health/ready")).await, url)
            })));
        }
    }
    let ready = |name, log, url, path| -> LocalBoxFuture<'_, Component> {
        Box::pin(timed(name, log, async move { plain(http.get(&http::join(url, path)).await, url) }))
    };
    checks.push(ready("otelcol", "otelcol", &stack.collector_health, "/"));
    checks.push(Box::pin(timed("otelcol OTLP/gRPC", "otelcol", listens(&stack.otlp_grpc))));
    checks.push(Box::pin(timed("otelcol own metrics", "otelcol", async {
        let reply = http.get(&http::join(&stack.collector_self, "/metrics")).await;
        plain(reply, &stack.collector_self)
    })));
    checks.push(ready("prometheus", "prometheus", &stack.prometheus, "/-/ready"));
    checks.push(Box::pin(async {
        let url = http::join_query(&stack.prometheus, "/api/v1/targets", &[("state", "active")]);
        let mut component = timed("prometheus targets", "prometheus", targets(http, &url)).await;
        component.next = component.next.map(|_| Next::Command(format!("curl -s '{url}'")));
        component
    }));
    if !args.skips(Skippable::Alertmanager) {
        checks.push(ready("alertmanager", "alertmanager", &stack.alertmanager, "/-/ready"));
    }
    checks.push(ready("tempo", "tempo", &stack.tempo, "/ready"));
    checks.push(ready("loki", "loki", &stack.loki, "/ready"));
    if !args.skips(Skippable::Grafana) {
        checks.push(Box::pin(timed("grafana", "grafana", async {
            match http.get(&http::join(&stack.grafana, "/api/health")).await {
                Err(CallError::Refused) => {
                    (Health::Note, "not running: the stack works without it, only without dashboards".to_owned())
                }
                reply => plain(reply, &stack.grafana),
            }
        })));
    }
    join_all(checks).await
}

async fn timed(name: &'static str, log: &'static str, check: impl Future<Output = (Health, String)>) -> Component {
    let started = Instant::now();
    let (health, detail) = check.await;
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let next = (health == Health::Ill).then_some(Next::Log(log));
    Component { name, health, detail, took_ms, next }
}

fn away(error: &CallError, url: &Url) -> (Health, String) {
    (Health::Ill, format!("does not answer at {}: {error}", http::shown(url)))
}

/// Any 2xx is well.
fn plain(reply: Result<Reply, CallError>, url: &Url) -> (Health, String) {
    match reply {
        Ok(reply) if reply.is_success() => (Health::Well, format!("ready at {}", http::shown(url))),
        Ok(reply) => {
            (Health::Ill, format!("not ready at {}: HTTP {}: {}", http::shown(url), reply.status, reply.first_line()))
        }
        Err(error) => away(&error, url),
    }
}

/// A service's own report, with the checks that fail.
fn service(reply: Result<Reply, CallError>, url: &Url) -> (Health, String) {
    let reply = match reply {
        Ok(reply) => reply,
        Err(error) => return away(&error, url),
    };
    match parse::failing_checks(&reply.body) {
        Some(failing) if reply.is_success() && failing.is_empty() => {
            (Health::Well, format!("ready at {}", http::shown(url)))
        }
        Some(failing) if !failing.is_empty() => (Health::Ill, format!("not ready: {}", failing.join("; "))),
        _ => (
            Health::Ill,
            format!(
                "{} is no service of ours: it answers /health/ready with HTTP {}: {}",
                http::shown(url),
                reply.status,
                reply.first_line()
            ),
        ),
    }
}

async fn listens(url: &Url) -> (Health, String) {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return (Health::Ill, format!("{url} has no host and port"));
    };
    match tokio::time::timeout(LIMIT, tokio::net::TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => (Health::Well, format!("listens at {}", http::shown(url))),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => away(&CallError::Refused, url),
        Ok(Err(error)) => away(&CallError::Failed(error.to_string()), url),
        Err(_) => away(&CallError::Timeout(LIMIT), url),
    }
}

/// Prometheus knows its targets some seconds after it is ready.
const TARGETS_WAIT: Duration = Duration::from_secs(6);

async fn targets(http: &Http, url: &Url) -> (Health, String) {
    let started = Instant::now();
    loop {
        let read = match http.get(url).await {
            Ok(reply) if reply.is_success() => parse::prometheus_targets(&reply.body),
            Ok(reply) => Err(format!("HTTP {}: {}", reply.status, reply.first_line())),
            // That it is away is told once, by its own line.
            Err(_) => return (Health::Note, "not known while prometheus does not answer".to_owned()),
        };
        match read {
            Ok(targets) if targets.is_empty() && started.elapsed() < TARGETS_WAIT => {
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            Ok(targets) => return judge(&targets),
            Err(reason) => return (Health::Ill, format!("cannot be read: {reason}")),
        }
    }
}

/// Every target is up, or was not scraped yet. Grafana's is down where there is no Grafana, which its own line tells.
fn judge(targets: &[Target]) -> (Health, String) {
    let wanted: Vec<&Target> = targets.iter().filter(|target| target.scrape_pool != "grafana").collect();
    let down: Vec<String> = wanted
        .iter()
        .filter(|target| target.health == "down")
        .map(|target| format!("{} at {}: {}", target.scrape_pool, target.scrape_url, target.last_error))
        .collect();
    let unknown = wanted.iter().filter(|target| target.health == "unknown").count();
    if wanted.is_empty() {
        return (Health::Ill, "Prometheus scrapes nothing: its configuration has no target".to_owned());
    }
    if !down.is_empty() {
        return (Health::Ill, format!("{} of {} cannot be scraped: {}", down.len(), wanted.len(), down.join("; ")));
    }
    let up = wanted.len() - unknown;
    match unknown {
        0 => (Health::Well, format!("all {up} up")),
        _ => (Health::Note, format!("{up} of {} up, the others not scraped yet (every 15 s)", wanted.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> Url {
        "http://127.0.0.1:8081".parse().unwrap()
    }

    fn reply(status: u16, body: &str) -> Result<Reply, CallError> {
        Ok(Reply { status, body: body.as_bytes().to_vec(), took: Duration::ZERO })
    }

    fn target(pool: &str, health: &str) -> Target {
        Target {
            scrape_pool: pool.to_owned(),
            scrape_url: "http://t/metrics".to_owned(),
            health: health.to_owned(),
            last_error: "refused".to_owned(),
        }
    }

    #[test]
    fn a_service_is_as_it_says() {
        let well = r#"{"status":"ok","checks":[{"name":"a","status":"ok"}]}"#;
        assert_eq!(service(reply(200, well), &url()).0, Health::Well);
        let ill = r#"{"status":"unavailable","checks":[{"name":"binance-stream","status":"failing","detail":"no event for 20 s"}]}"#;
        assert_eq!(
            service(reply(503, ill), &url()),
            (Health::Ill, "not ready: binance-stream: no event for 20 s".to_owned())
        );
        let (health, detail) = service(reply(200, "<html>Jenkins"), &url());
        assert!(health == Health::Ill && detail.contains("no service of ours"), "{detail}");
        let (health, detail) = service(Err(CallError::Refused), &url());
        assert!(
            health == Health::Ill && detail.contains("does not answer at http://127.0.0.1:8081: nothing listens"),
            "{detail}"
        );
    }

    #[test]
    fn a_backend_that_starts_says_why_it_is_not_ready() {
        let (health, detail) = plain(reply(503, "Ingester not ready: waiting for 15s\n"), &url());
        assert!(health == Health::Ill && detail.contains("HTTP 503: Ingester not ready"), "{detail}");
    }

    #[test]
    fn targets_are_up_except_grafanas() {
        assert_eq!(judge(&[target("tempo", "up"), target("grafana", "down")]).0, Health::Well);
        assert_eq!(judge(&[target("tempo", "up"), target("loki", "unknown")]).0, Health::Note);
        let (health, detail) = judge(&[target("tempo", "down"), target("loki", "unknown")]);
        assert!(health == Health::Ill && detail.contains("tempo at http://t/metrics: refused"), "{detail}");
        assert_eq!(judge(&[target("grafana", "up")]).0, Health::Ill);
    }

    #[actix_web::test]
    async fn a_listener_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        assert_eq!(listens(&url).await.0, Health::Well);
        drop(listener);
        assert_eq!(listens(&url).await.0, Health::Ill);
    }
}

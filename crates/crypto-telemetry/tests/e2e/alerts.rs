//! Alerts: from a fault over the rules of Prometheus and Alertmanager's route to a receiver, and back.

use std::net::TcpListener;
use std::path::Path;
use std::process::Child;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::web::{Data, Json, Path as UrlPath, post};
use actix_web::{App, HttpResponse, HttpServer};
use serde_json::{Value, json};

use crate::stack::{Stack, root};
use crate::wait::until;

/// What was posted, with the receiver that it was posted to.
type Told = Arc<Mutex<Vec<(String, Value)>>>;

/// The receivers of alertmanager/alertmanager.yml that are people.
pub(crate) const RECEIVERS: [&str; 4] = ["platform", "automation", "exchange", "escalation"];

/// Rules that think in minutes and hours, and the numbers in them that are seconds.
const SLOW_RULES: [(&str, &[&str]); 2] =
    [("trading.rules.yml", &["> 120", "time() - 300", "time() - 3600"]), ("escalation.rules.yml", &[">= 1800"])];

/// How much faster the clock of those runs here.
const FASTER: u64 = 30;

/// The repository's rules, some with a clock that runs faster: every duration in them is a thirtieth, and nothing else is
/// changed. What waits for two minutes waits for four seconds.
pub(crate) fn write_faster_rules(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for entry in std::fs::read_dir(root().join("prometheus/rules")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.ends_with(".rules.yml") {
            continue;
        }
        let mut rules = std::fs::read_to_string(&path).unwrap();
        if let Some((_, seconds)) = SLOW_RULES.iter().find(|(slow, _)| *slow == name) {
            for number in *seconds {
                assert!(rules.contains(number), "{name} has no {number} any more");
                let (before, value) = number.rsplit_once(' ').unwrap();
                let value: u64 = value.parse().unwrap();
                rules = rules.replace(number, &format!("{before} {}", value / FASTER));
            }
            rules = with_shorter_durations(&rules);
        }
        std::fs::write(folder.join(name), rules).unwrap();
    }
}

/// `5m` as `10s`, where it stands by itself: `increase5m` is a name.
fn with_shorter_durations(rules: &str) -> String {
    let mut text = String::new();
    let mut rest = rules;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        text.push_str(before);
        let digits = from.len() - from.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = from.split_at(digits);
        let unit = after.chars().next().unwrap_or(' ');
        let alone = !text.ends_with(|c: char| c.is_alphanumeric() || "_:.".contains(c))
            && !after.chars().nth(1).is_some_and(|c| c.is_alphanumeric() || c == '_');
        let seconds = match unit {
            's' => Some(1),
            'm' => Some(60),
            'h' => Some(3_600),
            _ => None,
        };
        match seconds.filter(|_| alone) {
            Some(seconds) => {
                let seconds = (number.parse::<u64>().unwrap() * seconds / FASTER).max(1);
                text.push_str(&format!("{seconds}s"));
                rest = &after[1..];
            }
            None => {
                text.push_str(number);
                rest = after;
            }
        }
    }
    text + rest
}

/// Somebody who wants to be told: a webhook that keeps what Alertmanager posts. On a thread of its own; ends when dropped.
pub(crate) struct Receiver {
    url: String,
    told: Told,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let told = Told::default();
        let keep = Data::from(told.clone());
        let (tell, started) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app = move || App::new().app_data(keep.clone()).route("/{receiver}", post().to(take));
                let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
                let url = format!("http://{}", server.addrs()[0]);
                let server = server.run();
                tell.send((url, server.handle())).unwrap();
                server.await.unwrap();
            });
        });
        let (url, server) = started.recv().unwrap();
        Self { url, told, server, thread: Some(thread) }
    }

    /// Where alerts for a receiver are posted.
    pub(crate) fn url(&self, receiver: &str) -> String {
        format!("{}/{receiver}", self.url)
    }

    /// An alert that a receiver was told of in this state and that is as wanted, the last one first.
    pub(crate) fn told_of(&self, receiver: &str, status: &str, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        let told = self.told.lock().unwrap();
        let messages = told.iter().rev().filter(|(to, _)| to == receiver);
        let alerts = messages.flat_map(|(_, message)| message["alerts"].as_array().cloned().unwrap_or_default());
        let mut wanted = alerts.filter(|alert| alert["status"] == status && wanted(&alert["labels"]));
        wanted.next()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // The order to stop is given by the call; what it returns only waits, and so does the thread's end.
        drop(self.server.stop(false));
        if let Some(thread) = self.thread.take() {
            // Its only failure is to have panicked, which has been told already.
            let _ = thread.join();
        }
    }
}

async fn take(
    told: Data<Mutex<Vec<(String, Value)>>>,
    receiver: UrlPath<String>,
    message: Json<Value>,
) -> HttpResponse {
    told.lock().unwrap().push((receiver.into_inner(), message.into_inner()));
    HttpResponse::Ok().finish()
}

/// A process that ends with its owner, whatever happens.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An alert that is to reduce trading does: from Alertmanager's route over order-service's door to what may be traded. By an
/// Alertmanager of its own, because alerts of other trials must not do the same.
pub(crate) fn alert_reduces_trading(stack: &Stack) {
    let folder = tempfile::tempdir().unwrap();
    let rendered = stack
        .command("render-alertmanager.sh")
        .arg(root().join("alertmanager/alertmanager.yml"))
        .env("ALERT_TRADING_URL", stack.url("ORDER_PORT", "/v1/trading/alerts"))
        .output()
        .unwrap();
    assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
    let config = folder.path().join("alertmanager.yml");
    std::fs::write(&config, rendered.stdout).unwrap();
    // It takes no port 0 that it would tell.
    let address = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let _alertmanager = Ended(
        stack
            .command("alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--cluster.listen-address=", "--log.level=warn"])
            .spawn()
            .unwrap(),
    );
    until("the Alertmanager is ready", || stack.is_ok(&format!("http://{address}/-/ready")).then_some(()));
    let state = stack.url("ORDER_PORT", "/v1/trading/state");
    let resume = json!({"state": "running", "by": "trial"});
    assert!(stack.http.put(&state).json(&resume).send().unwrap().status().is_success());
    let alert = json!([{
        "labels": {"alertname": "OrdersFailInATrial", "severity": "critical", "trading_action": "reduce"},
        "annotations": {"summary": "Orders fail, in a trial."},
    }]);
    let told = stack.http.post(format!("http://{address}/api/v2/alerts")).json(&alert).send().unwrap();
    assert!(told.status().is_success(), "{}", told.text().unwrap());
    let reduced =
        until("trading is reduced", || stack.json(&state, &[]).filter(|status| status["state"] == "reducing"));
    assert_eq!(
        (&reduced["by"], &reduced["reason"]),
        (&json!("alert:OrdersFailInATrial"), &json!("Orders fail, in a trial."))
    );
    assert!(stack.http.put(&state).json(&resume).send().unwrap().status().is_success());
}

/// No price comes any more: Prometheus fires, Alertmanager has it, its receiver is told; and told again when it is over.
pub(crate) fn price_stale(stack: &Stack) {
    let faults = stack.url("SIMULATOR_PORT", "/control/faults");
    for (target, kind) in [("binance_rest", "server_error"), ("binance_ws", "drop")] {
        let fault = json!({"target": target, "kind": kind, "duration_ms": 120_000});
        assert!(stack.http.post(&faults).json(&fault).send().unwrap().status().is_success());
    }
    let stale = |labels: &Value| labels["alertname"] == "PriceStale" && labels["symbol"] == "BTCUSDT";
    let fired =
        until("the receiver is told that a price is stale", || stack.alerts.told_of("platform", "firing", stale));
    assert_eq!(fired["labels"]["severity"], "critical", "{fired:#}");
    let runbook = fired["annotations"]["runbook"].as_str().unwrap();
    assert!(root().join(runbook).is_file(), "{runbook} is not there: {fired:#}");
    // A message leads back to who can be asked.
    let prometheus = stack.url("PROMETHEUS_PORT", "/graph");
    assert!(fired["generatorURL"].as_str().unwrap().starts_with(&prometheus), "{fired:#}");
    let alerts = stack.json(&stack.url("ALERTMANAGER_PORT", "/api/v2/alerts"), &[]).unwrap();
    let held = alerts.as_array().unwrap().iter().find(|alert| {
        alert["labels"]["alertname"] == "PriceStale"
            && alert["labels"]["symbol"] == "BTCUSDT"
            && alert["status"]["state"] == "active"
            && alert["receivers"][0]["name"] == "platform"
    });
    assert!(held.is_some(), "{alerts:#}");
    // A page of somebody else in a browser here must be able neither to read alerts nor to silence them.
    let alerts = stack.url("ALERTMANAGER_PORT", "/api/v2/alerts");
    let foreign = stack.http.get(alerts).header("origin", "http://elsewhere.example").send().unwrap();
    assert!(!foreign.headers().contains_key("access-control-allow-origin"), "{foreign:?}");

    assert!(stack.http.delete(&faults).send().unwrap().status().is_success());
    until("the receiver is told that it is over", || stack.alerts.told_of("platform", "resolved", stale));
    until("asks are answered again", || (stack.ask(&json!({"symbols": ["BTCUSDT"]})).0 == 200).then_some(()));
}

//! Requests that start when they are due.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use domain::{AskRequest, StrategyName, Symbol};
use url::Url;

use super::Report;

/// What to send.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) url: Url,
    pub(crate) rate_per_second: u32,
    pub(crate) duration: Duration,
    pub(crate) symbols: Vec<Symbol>,
    pub(crate) strategy: Option<StrategyName>,
}

/// An ask that takes longer has failed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends every request of the plan and waits for all answers.
pub(crate) async fn run(plan: &Plan) -> Report {
    let client = awc::Client::builder()
        .timeout(ANSWER_TIMEOUT)
        // No limit of our own may hold a request back that is due.
        .connector(awc::Connector::new().limit(0).conn_keep_alive(Duration::from_secs(30)))
        .finish();
    let bodies: Vec<Vec<u8>> = plan
        .symbols
        .iter()
        .map(|symbol| {
            let ask = AskRequest { symbols: vec![symbol.clone()], question: None, strategy: plan.strategy };
            serde_json::to_vec(&ask).unwrap_or_default()
        })
        .collect();
    let report = Rc::new(RefCell::new(Report::new(plan)));
    let total = u64::from(plan.rate_per_second) * plan.duration.as_millis().try_into().unwrap_or(u64::MAX) / 1_000;
    let started = Instant::now();
    let mut tasks = Vec::new();
    for number in 0..total {
        let due =
            started + Duration::from_nanos(number.saturating_mul(1_000_000_000) / u64::from(plan.rate_per_second));
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        let body = bodies[usize::try_from(number).unwrap_or(0) % bodies.len()].clone();
        let request = client.post(plan.url.as_str()).content_type("application/json").send_body(body);
        let report = report.clone();
        tasks.push(actix_web::rt::spawn(async move {
            let outcome = match request.await {
                Ok(mut response) => match response.body().limit(1 << 20).await {
                    Ok(_) if response.status().is_success() => Ok(()),
                    Ok(_) => Err(format!("HTTP {}", response.status().as_u16())),
                    Err(_) => Err("broken answer".to_owned()),
                },
                Err(awc::error::SendRequestError::Timeout) => Err("no answer in time".to_owned()),
                Err(_) => Err("no connection".to_owned()),
            };
            report.borrow_mut().record(due.elapsed(), outcome);
        }));
    }
    for task in tasks {
        // A task that panicked recorded nothing, and the report counts what is missing as failed.
        let _ = task.await;
    }
    let mut report = report.borrow().clone();
    report.finish(started.elapsed(), total);
    report
}

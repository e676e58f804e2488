//! Makes very many pipelines, of which none is set off by what is usual: to see what trigger-dispatcher takes of memory and time.
//!
//! `DATABASE_URL=… cargo run --release -p pipeline --example fill_pipelines [PIPELINES]`

#![expect(clippy::print_stdout, reason = "what it is for")]

use std::error::Error;
use std::time::{Duration, Instant};

use chrono::Utc;
use domain::pipeline::PipelineRequest;
use pipeline::store::{DATABASE, Store, migrations};
use serde_json::json;
use storage::{Database, DatabaseSettings};
use web::CancellationToken;

/// Pipelines that are made in one transaction.
const TOGETHER: usize = 5_000;

fn main() -> Result<(), Box<dyn Error>> {
    let count = std::env::args().nth(1).map(|count| count.parse()).transpose()?.unwrap_or(100_000);
    let url = std::env::var("DATABASE_URL")?;
    actix_web::rt::System::new().block_on(fill(&url, count))
}

async fn fill(url: &str, count: usize) -> Result<(), Box<dyn Error>> {
    let database = Database::open(DATABASE, &DatabaseSettings::at(url), migrations())?;
    let stop = CancellationToken::new();
    actix_web::rt::spawn(database.clone().keep_up(stop.clone()));
    let began = Instant::now();
    while let Err(reason) = database.ready().await {
        if began.elapsed() > Duration::from_secs(30) {
            return Err(reason.into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let store = Store::new(database);
    let mut made = 0;
    for from in (0..count).step_by(TOGETHER) {
        let requests: Vec<PipelineRequest> =
            (from..count.min(from + TOGETHER)).map(request).collect::<Result<_, _>>()?;
        let word = format!("fill_pipelines {from} {}", Utc::now().timestamp_micros());
        made += store.load_once(&word, &requests, Utc::now()).await?.unwrap_or_default();
    }
    println!("{}", json!({"pipelines": made, "seconds": began.elapsed().as_secs_f64()}));
    stop.cancel();
    Ok(())
}

/// Each waits for two types of signals and two of two thousand markets.
fn request(number: usize) -> Result<PipelineRequest, serde_json::Error> {
    let market = |number: usize| format!("C{:04}USDT", number % 2_000);
    serde_json::from_value(json!({
        "name": format!("one of many {number}"),
        "trigger": {
            "mode": "signal",
            "signal_types": [format!("kind_{}", number % 7), format!("kind_{}", number % 11)],
            "tickers": [market(number), market(number / 3 + 1_000)],
            "minimum_confidence": format!("0.{:02}", 50 + number % 50),
        },
        "steps": [{"name": "look", "agent": "market_snapshot"}, {"name": "tell", "agent": "notify"}],
    }))
}

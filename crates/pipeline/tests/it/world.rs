//! What the tests share: a store, pipelines, signals.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::pipeline::{ExecutionStatus, Pipeline, PipelineRequest, StepRun, StepStatus, TriggerMode};
use domain::{DecisionId, SignalEvent};
use pipeline::store::{Claim, Ended, Enqueued, New, Store};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use storage::testing::TestDatabase;
use storage::{Database, DatabaseSettings};
use web::Background;
use web::testing::eventually;

/// Long enough that it does not run out in a test; what runs out is said with times of the test's own.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// A process, as far as the store goes.
pub(crate) struct World {
    pub(crate) store: Store,
    background: Background,
}

impl Drop for World {
    fn drop(&mut self) {
        self.background.token().cancel();
    }
}

impl World {
    pub(crate) async fn open(database: &TestDatabase) -> Self {
        Self::at(&database.settings()).await
    }

    pub(crate) async fn at(settings: &DatabaseSettings) -> Self {
        let database = Database::open(pipeline::store::DATABASE, settings, pipeline::store::migrations()).unwrap();
        let mut background = Background::new();
        background.spawn("database", |stop| database.clone().keep_up(stop));
        eventually("the database is there", async || database.ready().await.ok()).await;
        Self { store: Store::new(database), background }
    }

    pub(crate) async fn pipeline(&self, name: &str) -> Pipeline {
        self.store.create(&request(name), t(0)).await.unwrap()
    }

    pub(crate) async fn enqueue(&self, pipeline: &Pipeline, dedupe: Option<&str>, now: DateTime<Utc>) -> Enqueued {
        let mut transaction = self.store.database().begin().await.unwrap();
        let new = New {
            pipeline,
            trigger_mode: TriggerMode::Manual,
            signal: None,
            symbol: "BTCUSDT".parse().unwrap(),
            dedupe: dedupe.map(str::to_owned),
            context: "{}",
        };
        let enqueued = Store::enqueue(&mut transaction, &new, now).await.unwrap();
        transaction.commit().await.unwrap();
        enqueued
    }

    /// An execution that waits.
    pub(crate) async fn queued(&self, pipeline: &Pipeline, now: DateTime<Utc>) -> DecisionId {
        id_of(self.enqueue(pipeline, None, now).await)
    }

    /// Takes everything away that runs, as somebody who has heard of nobody for a lease; how many wait, and those that failed.
    pub(crate) async fn take_all_away(&self, now: DateTime<Utc>) -> (usize, Vec<Ended>) {
        let mut ended = Vec::new();
        for running in self.store.running().await.unwrap() {
            ended.extend(self.store.take_away(&running, now).await.unwrap());
        }
        let (failed, queued): (Vec<Ended>, Vec<Ended>) =
            ended.into_iter().partition(|one| one.status == ExecutionStatus::Failed);
        (queued.len(), failed)
    }

    pub(crate) async fn claim(&self, worker: &str, now: DateTime<Utc>) -> Claim {
        self.store.claim(worker, LEASE, now).await.unwrap().unwrap()
    }
}

pub(crate) fn id_of(enqueued: Enqueued) -> DecisionId {
    match enqueued {
        Enqueued::New { execution_id } => execution_id,
        other => panic!("nothing was set off: {other:?}"),
    }
}

/// A time of the test's own, so many seconds from a fixed one.
pub(crate) fn t(seconds: i64) -> DateTime<Utc> {
    "2026-01-31T12:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(seconds)
}

/// The JSON of a pipeline for golden crosses.
pub(crate) fn body(name: &str) -> Value {
    json!({
        "name": name,
        "trigger": {"mode": "signal", "signal_types": ["golden_cross"], "tickers": ["BTCUSDT"], "minimum_confidence": "0.6"},
        "steps": [
            {"name": "look", "agent": "market_snapshot"},
            {"name": "judge", "agent": "technical_analysis"},
            {"name": "tell", "agent": "notify"},
        ],
    })
}

pub(crate) fn request(name: &str) -> PipelineRequest {
    let request: PipelineRequest = serde_json::from_value(body(name)).unwrap();
    request.check().unwrap();
    request
}

/// A golden cross.
pub(crate) fn signal(number: u8) -> SignalEvent {
    SignalEvent {
        version: 1,
        signal_id: DecisionId::from_bytes([number; 16]),
        signal_type: "golden_cross".parse().unwrap(),
        source: "golden_cross_generator".parse().unwrap(),
        symbol: "BTCUSDT".parse().unwrap(),
        action: domain::trading::SignalAction::Buy,
        confidence: "0.85".parse().unwrap(),
        price: None,
        interval: None,
        candle_closed_at: None,
        reason: Some("with a NUL in words: \\u0000".to_owned()),
        generated_at: t(0),
    }
}

/// A step that was done.
pub(crate) fn step(name: &str, attempt: u16, cost: &str) -> StepRun {
    StepRun {
        name: name.to_owned(),
        agent: "technical_analysis".to_owned(),
        status: StepStatus::Success,
        attempt,
        started_at: t(1),
        duration_ms: 12,
        cost_usd: cost.parse::<Decimal>().unwrap(),
        summary: "it was\0 done".to_owned(),
        output: json!({"action": "BUY", "text": "a\u{0}b"}),
    }
}

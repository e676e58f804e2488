//! What the tests in here share: a dispatcher as its process has it, without its server.

use std::sync::Arc;
use std::time::Duration;

use bus::testing::{Kept, TestBus};
use bus::{Consumer, NewMessage};
use chrono::{DateTime, TimeDelta, Utc};
use domain::pipeline::{ExecutionStatus, Pipeline, PipelineRequest};
use domain::{DecisionId, SIGNALS_TOPIC, SignalEvent};
use serde_json::json;
use storage::testing::{TestDatabase, engines};
use storage::{Database, DatabaseSettings};
use web::testing::eventually;
use web::{Background, CancellationToken};

use super::cache::Cache;
use super::consume::{Reader, Shown};
use super::periodic::Clock;
use super::taking::Taker;
use crate::store::{self, Store};

/// Runs a test on both engines, with a bus on the same.
pub(crate) fn on_engines(test: impl AsyncFn(TestDatabase, TestBus)) {
    for database in engines() {
        let bus = if database.engine() == "sqlite" { TestBus::sqlite() } else { TestBus::postgres() };
        actix_web::rt::System::new().block_on(test(database, bus));
    }
}

/// A process. Dropped, it is killed.
pub(crate) struct Process {
    pub(crate) store: Store,
    pub(crate) cache: Arc<Cache>,
    pub(crate) kept: Kept,
    background: Background,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.background.token().cancel();
    }
}

impl Process {
    pub(crate) async fn start(database: &TestDatabase, bus: &TestBus) -> Self {
        // What a process that was killed holds is free the sooner.
        let settings = DatabaseSettings {
            database_acquire_timeout_ms: 1_500,
            database_statement_timeout_ms: 1_500,
            ..database.settings()
        };
        let kept = bus.open();
        let database = Database::open(store::DATABASE, &settings, store::migrations()).unwrap();
        let mut background = Background::new();
        background.spawn("database", |stop| database.clone().keep_up(stop));
        eventually("the database is there", async || database.ready().await.ok()).await;
        eventually("the bus is there", async || kept.bus.ready().await.ok()).await;
        let store = Store::new(database);
        let cache = Arc::new(Cache::new(store.clone(), Duration::from_secs(300)));
        eventually("the pipelines are read", async || cache.refresh().await.ok()).await;
        Self { store, cache, kept, background }
    }

    pub(crate) fn reader(&self) -> Reader {
        Reader {
            bus: self.kept.bus.clone(),
            cache: Arc::clone(&self.cache),
            taker: Taker::new(self.store.clone(), Arc::clone(&self.cache), self.kept.bus.engine(), Vec::new()),
            batch: 50,
            wait: Duration::from_millis(20),
            shown: Shown::default(),
        }
    }

    pub(crate) fn clock(&self) -> Clock {
        Clock::new(self.store.clone(), Arc::clone(&self.cache))
    }

    /// Publishes messages about one market, together: they have one partition.
    pub(crate) async fn publish(&self, payloads: impl IntoIterator<Item = String>) {
        let messages = payloads.into_iter().map(|payload| NewMessage::new("BTCUSDT", payload)).collect();
        self.kept.bus.publish_all(SIGNALS_TOPIC, messages).await.unwrap();
    }

    /// Reads and works through whatever is there, until everything is committed.
    pub(crate) async fn catch_up(&self, consumer: &mut Consumer) {
        let (reader, stop) = (self.reader(), CancellationToken::new());
        eventually("everything is committed", async || {
            if let Ok(batch) = consumer.next().await
                && !batch.is_empty()
            {
                assert!(reader.work_through(consumer, &batch, &stop).await);
            }
            let standing = consumer.standing().await.ok()?;
            (standing.partitions.len() == 4 && standing.lag_messages == 0).then_some(())
        })
        .await;
    }

    /// Does what waits, as workers do.
    pub(crate) async fn execute(&self) -> usize {
        let mut done = 0;
        while let Some(claim) = self.store.claim("w", Duration::from_secs(30), at(1 << 40)).await.unwrap() {
            self.store.finish(&claim, ExecutionStatus::Success, None, store::now()).await.unwrap();
            done += 1;
        }
        done
    }

    pub(crate) async fn make(&self, name: &str, trigger: serde_json::Value, now: DateTime<Utc>) -> Pipeline {
        let request: PipelineRequest = serde_json::from_value(json!({
            "name": name, "trigger": trigger, "steps": [{"name": "tell", "agent": "notify"}],
        }))
        .unwrap();
        let made = self.store.create(&request, now).await.unwrap();
        self.cache.refresh().await.unwrap();
        made
    }
}

/// So many seconds after 1970.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds.min(1 << 36))
}

pub(crate) fn signal_id(number: u32) -> DecisionId {
    let mut bytes = [7; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    DecisionId::from_bytes(bytes)
}

/// A signal as JSON.
pub(crate) fn signal(number: u32, symbol: &str) -> String {
    let event = SignalEvent {
        version: 1,
        signal_id: signal_id(number),
        signal_type: "golden_cross".parse().unwrap(),
        source: "golden_cross_generator".parse().unwrap(),
        symbol: symbol.parse().unwrap(),
        action: domain::trading::SignalAction::Buy,
        confidence: "0.85".parse().unwrap(),
        price: None,
        interval: None,
        candle_closed_at: None,
        reason: None,
        generated_at: at(0),
    };
    serde_json::to_string(&event).unwrap()
}

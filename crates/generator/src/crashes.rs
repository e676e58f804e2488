//! However a process ends while it makes signals: each crossing is one signal and each number of a seed is drawn once,
//! with its outbox entry, and how far the generator is agrees with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::HttpResponse;
use bus::BusSettings;
use chrono::{DateTime, TimeDelta};
use domain::{Candle, CandleSeries, Interval};
use rust_decimal::Decimal;
use storage::outbox::Outbox;
use storage::testing::{TestDatabase, engines};
use storage::{Database, DatabaseSettings, QueryType, Statement};
use url::Url;
use web::Background;
use web::testing::{Killed, eventually, fake};

use crate::Config;
use crate::crossing::{CrossGenerator, LookError};
use crate::error::ApiError;
use crate::making::Maker;
use crate::market::Market;
use crate::mock::MockGenerator;
use crate::signals::Signals;

/// More steps than anything has: it never ends.
const ENDLESS: usize = 2_000;

/// Closes go up and down: each candle from the third on is a crossing of windows of 1 and 2.
fn candle(place: usize) -> Candle {
    let open_time = DateTime::UNIX_EPOCH + TimeDelta::minutes(i64::try_from(place).unwrap());
    let close = Decimal::from(10 + place % 2);
    Candle {
        open_time,
        close_time: open_time + TimeDelta::milliseconds(59_999),
        open: close,
        high: close,
        low: close,
        close,
        volume: Decimal::ONE,
        closed: true,
    }
}

fn market(closed: &Arc<AtomicUsize>) -> Url {
    let closed = Arc::clone(closed);
    fake(move |_, _| {
        let closed = closed.load(Ordering::SeqCst);
        async move {
            HttpResponse::Ok().json(CandleSeries {
                symbol: "BTCUSDT".parse().unwrap(),
                interval: Interval::OneMinute,
                candles: (closed.saturating_sub(1_000)..closed).map(candle).collect(),
                trace_id: None,
            })
        }
    })
}

/// A process, as far as making goes. Dropping it ends what keeps its database up.
struct Process {
    database: Database,
    crosses: CrossGenerator,
    mock: MockGenerator,
    background: Background,
}

impl Process {
    async fn start(test: &TestDatabase, market: &Url) -> Self {
        // What a process that was killed holds is free the sooner.
        let settings = DatabaseSettings {
            database_acquire_timeout_ms: 1_500,
            database_statement_timeout_ms: 1_500,
            ..test.settings()
        };
        let mut config = Config::ephemeral(settings.clone(), BusSettings::at(test.url()), market.clone()).generator;
        config.symbols = vec!["BTCUSDT".parse().unwrap()];
        (config.fast_candles, config.slow_candles) = (1.try_into().unwrap(), 2.try_into().unwrap());
        config.mock_seed = Some(5);
        let database = Database::open(crate::NAME, &settings, crate::migrations()).unwrap();
        let mut background = Background::new();
        background.spawn("database", |stop| database.clone().keep_up(stop));
        eventually("the database is there", async || database.ready().await.ok()).await;
        let outbox = Outbox::new(database.clone(), "signals");
        let maker = Maker::new(database.clone(), Signals::new(database.clone()), outbox, 10_000);
        let finder = config.finder().unwrap();
        let market = Market::new(config.market_data_url.clone());
        let crosses = CrossGenerator::new(maker.clone(), market, &config, finder, Arc::default()).unwrap();
        let mock = MockGenerator::new(maker, &config).unwrap();
        Self { database, crosses, mock, background }
    }

    async fn look(&self) -> Result<(), LookError> {
        self.crosses.look(&("BTCUSDT".parse().unwrap(), Interval::OneMinute)).await
    }

    async fn texts(&self, sql: &'static str) -> Vec<String> {
        let rows: Vec<(String,)> =
            self.database.fetch_all(Statement::new(QueryType::Select, "signals", sql)).await.unwrap();
        rows.into_iter().map(|row| row.0).collect()
    }

    /// What was made, in order, with an outbox entry each and no other.
    async fn made(&self) -> Vec<domain::SignalEvent> {
        let signals = self.texts("SELECT body FROM signals ORDER BY number").await;
        let events: Vec<domain::SignalEvent> = signals.iter().map(|body| serde_json::from_str(body).unwrap()).collect();
        let keys = self.texts("SELECT key FROM outbox_entries WHERE NOT parked ORDER BY id").await;
        assert_eq!(keys, events.iter().map(|event| event.signal_id.to_string()).collect::<Vec<_>>());
        events
    }

    async fn end(self) {
        self.background.token().cancel();
    }
}

fn run(test: impl AsyncFn(TestDatabase)) {
    for database in engines() {
        actix_web::rt::System::new().block_on(test(database));
    }
}

#[test]
fn killed_at_every_step_of_a_look() {
    run(async |database| {
        let closed = Arc::new(AtomicUsize::new(10));
        let market = market(&closed);
        let process = Process::start(&database, &market).await;
        process.look().await.unwrap();
        process.end().await;
        let mut killed = 0;
        for _ in 0..3 {
            for steps in 0.. {
                assert!(steps < ENDLESS, "it never ends");
                // Two new ones, besides what those that were killed have left.
                closed.fetch_add(2, Ordering::SeqCst);
                let process = Process::start(&database, &market).await;
                let ended = Killed::after(steps, process.look()).await;
                process.end().await;
                match ended {
                    None => killed += 1,
                    Some(Ok(())) => break,
                    // What is left of the process before holds the database for a moment.
                    Some(Err(LookError::Storage(error) | LookError::Making(ApiError::Storage(error)))) => {
                        assert!(error.is_passing(), "step {steps}: {error}");
                    }
                    Some(Err(error)) => panic!("step {steps}: {error}"),
                }
            }
        }
        assert!(killed >= 3, "{killed} were killed");
        let process = Process::start(&database, &market).await;
        eventually("it looks", async || process.look().await.ok()).await;
        let found: Vec<_> = process.made().await.iter().map(|event| event.candle_closed_at.unwrap()).collect();
        let all: Vec<_> = (10..closed.load(Ordering::SeqCst)).map(|place| candle(place).close_time).collect();
        assert_eq!(found, all, "each once, in order");
        process.end().await;
    });
}

#[test]
fn killed_at_every_step_of_a_draw() {
    run(async |database| {
        let market = market(&Arc::default());
        let mut killed = 0;
        for _ in 0..3 {
            for steps in 0.. {
                assert!(steps < ENDLESS, "it never ends");
                let process = Process::start(&database, &market).await;
                let mut number = None;
                let ended = Killed::after(steps, process.mock.make(3, &mut number)).await;
                process.end().await;
                match ended {
                    None => killed += 1,
                    Some(Ok(())) => break,
                    Some(Err(ApiError::Storage(error))) => assert!(error.is_passing(), "step {steps}: {error}"),
                    Some(Err(error)) => panic!("step {steps}: {error}"),
                }
            }
        }
        assert!(killed >= 3, "{killed} were killed");
        let process = Process::start(&database, &market).await;
        let made = process.made().await;
        assert!(made.len() >= 9 && made.len() % 3 == 0, "whole draws: {}", made.len());
        for (number, event) in (0_u64..).zip(&made) {
            assert_eq!(event.signal_id, crate::ids::of_number(5, number), "each number once, in order");
        }
        process.end().await;
    });
}
